//! Binds rules to a pipeline: finds every name of the description in the config, and compiles every schema.
//!
//! Rule: a version is bound once, not on a worker, and everything that does not fit is reported at once. After that,
//! nothing can be missing.

use super::Readers;
use crate::config::{Budget, Config, Format, InputConfig};
use crate::record::TopicIx;
use crate::registry::Schemas;
use crate::rules::{Channel, Lookup, Rules, Store};
use pelton_convert::{Incompatible, JsonReader, JsonWriter, Template, Unreadable, Validator};
use std::fmt::Display;

/// Rules bound to a pipeline. Indexes are those of the description, unless it says otherwise.
pub struct Wiring {
    /// The compiled component.
    pub rules: Rules,
    /// By rank: the index in the description, and the reader's schema. `None` if the rules don't read this input.
    pub inputs: Vec<Option<(u16, String)>>,
    /// Where outputs go.
    pub outputs: Vec<OutputWire>,
    /// Which services lookups ask.
    pub lookups: Vec<LookupWire>,
    /// Checks the values of stores.
    pub stores: Vec<Validator>,
    /// Maximum number of inputs in one call.
    pub batch: usize,
    /// How many faults the version may have.
    pub budget: Budget,
    /// Whether each call gets a new instance. Tests use it, because a guest's memory must not matter.
    pub fresh: bool,
    configured: Vec<InputConfig>,
}

/// An output.
pub struct OutputWire {
    /// Index of its topic.
    pub topic: TopicIx,
    /// Number of partitions of the topic.
    pub partitions: i32,
    /// The format of its values.
    pub form: Form,
    /// Checks its datums.
    pub valid: Validator,
}

/// The format of an output's values.
pub enum Form {
    /// Avro: these bytes (0 and the schema id), then the datum.
    Avro([u8; 5]),
    /// JSON text.
    Json(JsonWriter),
}

/// A lookup.
pub struct LookupWire {
    /// Index of the service in the config.
    pub service: u16,
    /// Renders the URL.
    pub url: Template,
    /// Checks its requests.
    pub valid: Validator,
    /// How its replies are read.
    pub reply: ReplyForm,
}

/// The format of a lookup's replies.
pub enum ReplyForm {
    /// JSON text, which becomes a datum.
    Json(JsonReader),
    /// A datum, which is checked.
    Avro(Validator),
}

/// A part of the rules that does not fit the pipeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Misfit {
    /// The part, such as `output 'enriched'`.
    pub what: String,
    /// Why it does not fit, and what to do.
    pub why: String,
}

/// Everything about the rules that doesn't fit the pipeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct Misfits(pub Vec<Misfit>);

fn lines(misfits: &[Misfit]) -> String {
    misfits.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Misfit {
    fn new(what: String, why: impl Display) -> Misfit {
        Misfit {
            what,
            why: why.to_string(),
        }
    }
}

impl Wiring {
    /// Binds rules to a pipeline. `partitions` has the number of each output topic's partitions, by index in the
    /// config. May ask the registry.
    pub fn new(
        rules: Rules,
        config: &Config,
        schemas: Option<&dyn Schemas>,
        partitions: &[i32],
    ) -> Result<Wiring, Misfits> {
        let mut misfits = vec![];
        let description = rules.description();
        let inputs = inputs(&description.inputs, config, &mut misfits);
        let bind = |channel| OutputWire::bind(channel, config, schemas, partitions);
        let outputs = fitting(description.outputs.iter().map(bind), &mut misfits);
        let bind = |lookup| LookupWire::bind(lookup, config);
        let lookups = fitting(description.lookups.iter().map(bind), &mut misfits);
        let stores = fitting(description.stores.iter().map(validator), &mut misfits);
        let wiring = Wiring {
            rules,
            inputs,
            outputs,
            lookups,
            stores,
            batch: config.rules.batch,
            budget: config.rules.budget,
            fresh: false,
            configured: config.inputs.clone(),
        };
        if let Err(why) = wiring.readers() {
            misfits.push(Misfit::new("an input's schema".into(), why));
        }
        match misfits.is_empty() {
            true => Ok(wiring),
            false => Err(Misfits(misfits)),
        }
    }

    /// New readers for the inputs. Each worker needs its own.
    pub fn readers(&self) -> Result<Readers, Incompatible> {
        let schemas = self
            .inputs
            .iter()
            .map(|input| input.as_ref().map(|(_, schema)| schema.clone()))
            .collect();
        Readers::new(&self.configured, schemas)
    }
}

/// Keeps what fits. What doesn't is added to the misfits.
fn fitting<T>(bound: impl Iterator<Item = Result<T, Misfit>>, misfits: &mut Vec<Misfit>) -> Vec<T> {
    bound
        .filter_map(|bound| bound.map_err(|misfit| misfits.push(misfit)).ok())
        .collect()
}

/// By rank: the index of the input in the description, and the reader's schema.
fn inputs(channels: &[Channel], config: &Config, misfits: &mut Vec<Misfit>) -> Vec<Option<(u16, String)>> {
    let mut inputs = vec![None; config.inputs.len()];
    for (index, channel) in channels.iter().enumerate() {
        match config.inputs.iter().position(|input| input.name == channel.name) {
            Some(rank) => inputs[rank] = Some((index as u16, channel.schema.clone())),
            None => misfits.push(Misfit::new(
                format!("input '{}'", channel.name),
                names("input", config.inputs.iter().map(|i| &i.name)),
            )),
        }
    }
    inputs
}

fn validator(store: &Store) -> Result<Validator, Misfit> {
    Validator::new(&store.schema).map_err(|why| Misfit::new(format!("store '{}'", store.name), why))
}

impl OutputWire {
    fn bind(
        channel: &Channel,
        config: &Config,
        schemas: Option<&dyn Schemas>,
        partitions: &[i32],
    ) -> Result<OutputWire, Misfit> {
        let misfit = |why: &dyn Display| Misfit::new(format!("output '{}'", channel.name), why);
        let at = config.outputs.iter().position(|output| output.name == channel.name);
        let at = at.ok_or_else(|| misfit(&names("output", config.outputs.iter().map(|o| &o.name))))?;
        let output = &config.outputs[at];
        let form = match (output.format, schemas) {
            (Format::Json, _) => JsonWriter::new(&channel.schema)
                .map(Form::Json)
                .map_err(|why| misfit(&why))?,
            (Format::Avro, None) => {
                return Err(misfit(
                    &"it is Avro, and the config names no registry and no folder of schemas",
                ));
            }
            (Format::Avro, Some(schemas)) => {
                let id = schemas.id_for(&output.topic, &channel.schema);
                let [a, b, c, d] = id.map_err(|why| misfit(&why))?.to_be_bytes();
                Form::Avro([0, a, b, c, d])
            }
        };
        Ok(OutputWire {
            topic: TopicIx::at(config.inputs.len() + at),
            partitions: partitions[at],
            form,
            valid: Validator::new(&channel.schema).map_err(|why| misfit(&why))?,
        })
    }
}

impl LookupWire {
    fn bind(lookup: &Lookup, config: &Config) -> Result<LookupWire, Misfit> {
        let misfit = |why: &dyn Display| Misfit::new(format!("lookup '{}'", lookup.name), why);
        let service = config.lookups.iter().position(|known| known.name == lookup.name);
        let service = service.ok_or_else(|| misfit(&names("lookup", config.lookups.iter().map(|l| &l.name))))?;
        let configured = &config.lookups[service];
        let reply = match configured.format {
            Format::Json => JsonReader::new(&lookup.reply).map(ReplyForm::Json),
            Format::Avro => Validator::new(&lookup.reply).map(ReplyForm::Avro),
        };
        Ok(LookupWire {
            service: service as u16,
            url: Template::new(&configured.url, &lookup.request).map_err(|why| misfit(&why))?,
            valid: Validator::new(&lookup.request).map_err(|why| misfit(&why))?,
            reply: reply.map_err(|why| misfit(&why))?,
        })
    }
}

fn names<'a>(kind: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<_> = known.map(|name| format!("'{name}'")).collect();
    let known = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    format!("the rules use it, and the pipeline's file has no {kind} of this name (it has: {known}): add it there")
}

impl ReplyForm {
    /// Appends the datum of a reply. Fails if it does not match the declared schema.
    pub fn read(&self, body: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        match self {
            ReplyForm::Json(json) => json.convert(body, out),
            ReplyForm::Avro(valid) => {
                valid.check(body)?;
                out.extend_from_slice(body);
                Ok(())
            }
        }
    }
}
