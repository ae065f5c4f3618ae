//! Binds rules to a pipeline: finds every name of the description in the config, and compiles every schema.
//!
//! Rule: a version is bound once, not on a worker, and everything that does not fit is reported at once. After that,
//! nothing can be missing.

use super::Readers;
use crate::config::{Budget, Config, Format, Input};
use crate::record::TopicIx;
use crate::registry::Schemas;
use crate::rules::Rules;
use pelton_convert::{JsonReader, JsonWriter, Template, Validator};

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
    configured: Vec<Input>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The part, such as `output 'enriched'`.
    pub what: String,
    /// Why it does not fit, and what to do.
    pub why: String,
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
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
    ) -> Result<Wiring, Vec<Misfit>> {
        let mut misfits = vec![];
        let mut miss = |what: String, why: String| misfits.push(Misfit { what, why });
        let description = rules.description().clone();

        let mut inputs = vec![None; config.inputs.len()];
        for (index, channel) in description.inputs.iter().enumerate() {
            match config.inputs.iter().position(|input| input.name == channel.name) {
                Some(rank) => inputs[rank] = Some((index as u16, channel.schema.clone())),
                None => miss(
                    format!("input '{}'", channel.name),
                    names("input", config.inputs.iter().map(|i| &i.name)),
                ),
            }
        }

        let mut outputs = vec![];
        for channel in &description.outputs {
            let what = format!("output '{}'", channel.name);
            let Some(at) = config.outputs.iter().position(|output| output.name == channel.name) else {
                miss(what, names("output", config.outputs.iter().map(|o| &o.name)));
                continue;
            };
            let output = &config.outputs[at];
            let form = match output.format {
                Format::Json => JsonWriter::new(&channel.schema)
                    .map(Form::Json)
                    .map_err(|e| e.to_string()),
                Format::Avro => match schemas {
                    None => Err("it is Avro, and the config names no registry and no folder of schemas".into()),
                    Some(schemas) => schemas
                        .id_for(&output.topic, &channel.schema)
                        .map_err(|e| e.to_string())
                        .map(|id| {
                            let [a, b, c, d] = id.to_be_bytes();
                            Form::Avro([0, a, b, c, d])
                        }),
                },
            };
            let valid = Validator::new(&channel.schema).map_err(|e| e.to_string());
            match (form, valid) {
                (Ok(form), Ok(valid)) => outputs.push(OutputWire {
                    topic: (config.inputs.len() + at) as TopicIx,
                    partitions: partitions[at],
                    form,
                    valid,
                }),
                (Err(why), _) | (_, Err(why)) => miss(what, why),
            }
        }

        let mut lookups = vec![];
        for lookup in &description.lookups {
            let what = format!("lookup '{}'", lookup.name);
            let Some(service) = config.lookups.iter().position(|known| known.name == lookup.name) else {
                miss(what, names("lookup", config.lookups.iter().map(|l| &l.name)));
                continue;
            };
            let configured = &config.lookups[service];
            let url = Template::new(&configured.url, &lookup.request).map_err(|e| e.to_string());
            let valid = Validator::new(&lookup.request).map_err(|e| e.to_string());
            let reply = match configured.format {
                Format::Json => JsonReader::new(&lookup.reply).map(ReplyForm::Json),
                Format::Avro => Validator::new(&lookup.reply).map(ReplyForm::Avro),
            }
            .map_err(|e| e.to_string());
            match (url, valid, reply) {
                (Ok(url), Ok(valid), Ok(reply)) => {
                    lookups.push(LookupWire {
                        service: service as u16,
                        url,
                        valid,
                        reply,
                    });
                }
                (Err(why), _, _) | (_, Err(why), _) | (_, _, Err(why)) => miss(what, why),
            }
        }

        let mut stores = vec![];
        for store in &description.stores {
            match Validator::new(&store.schema) {
                Ok(valid) => stores.push(valid),
                Err(why) => miss(format!("store '{}'", store.name), why.to_string()),
            }
        }

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
            misfits.push(Misfit {
                what: "an input's schema".into(),
                why,
            });
        }
        if misfits.is_empty() { Ok(wiring) } else { Err(misfits) }
    }

    /// New readers for the inputs. Each worker needs its own.
    pub fn readers(&self) -> Result<Readers, String> {
        let schemas = self
            .inputs
            .iter()
            .map(|input| input.as_ref().map(|(_, schema)| schema.clone()))
            .collect();
        Readers::new(&self.configured, schemas)
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
    pub fn read(&self, body: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            ReplyForm::Json(json) => json.convert(body, out).map_err(|e| e.to_string()),
            ReplyForm::Avro(valid) => {
                valid.check(body).map_err(|e| e.to_string())?;
                out.extend_from_slice(body);
                Ok(())
            }
        }
    }
}
