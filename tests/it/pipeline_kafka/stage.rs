//! Everything around a pipeline: its topics, schemas, file and traffic.

use super::{
    Expected, Format, OUTPUT_PARTITIONS, PARTITIONS, Parameters, Process, Rig, Tail, Traffic, registry, service,
};
use pelton_demo::traffic::Stream;
use pelton_tests::rig::Record;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Where the schemas come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The topics are JSON.
    None,
    Registry,
    Folder,
}

/// A pipeline with its own topics.
pub struct Stage {
    pub rig: &'static Rig,
    pub name: String,
    pub inputs: [String; 3],
    pub output: String,
    pub format: Format,
    pub folder: TempDir,
    /// The traffic by stream and partition, for the auditor.
    pub records: [Vec<Vec<Record>>; 3],
    /// Records of this topic are written in another form than the auditor sees.
    pub rewrite: Option<(String, Rewrite)>,
}

/// What is written instead of a record.
pub type Rewrite = Box<dyn Fn(&Record) -> Record>;

impl Stage {
    /// Creates the topics and the pipeline's file.
    pub fn new(rig: &'static Rig, source: Source) -> Stage {
        let name = Rig::unique("money");
        let inputs = Stream::ALL.map(|stream| format!("{name}-{}", stream.topic()));
        // The traffic is years old. Otherwise the broker would remove it within minutes.
        let kept = [("retention.ms", "-1")];
        for topic in &inputs {
            rig.create(topic, PARTITIONS, &kept).unwrap();
        }
        let output = format!("{name}-enriched");
        rig.create(&output, OUTPUT_PARTITIONS, &kept).unwrap();
        let format = match source {
            Source::None => Format::Json,
            _ => Format::Avro,
        };
        let stage = Stage {
            rig,
            name,
            inputs,
            output,
            format,
            folder: TempDir::new().unwrap(),
            rewrite: None,
            records: std::array::from_fn(|_| vec![vec![]; PARTITIONS as usize]),
        };
        stage.schemas(source);
        std::fs::write(stage.file(), stage.text(source)).unwrap();
        stage
    }

    fn schemas(&self, source: Source) {
        let topics = [&self.inputs[2], &self.inputs[0], &self.inputs[1], &self.output];
        for (index, (topic, (_, schema))) in topics.into_iter().zip(schemas()).enumerate() {
            match source {
                Source::None => {}
                Source::Registry => {
                    let id = registry().register(&format!("{topic}-value"), &schema).unwrap();
                    assert_eq!(id, index as u32 + 1, "the same schema, the same id");
                }
                Source::Folder => {
                    std::fs::write(self.path(&format!("{}-{topic}.avsc", index + 1)), schema).unwrap();
                }
            }
        }
    }

    fn text(&self, source: Source) -> String {
        let schemas = match source {
            Source::None => String::new(),
            Source::Registry => format!("[schemas]\nregistry = \"{}\"\n", registry().url()),
            Source::Folder => "[schemas]\nfolder = \".\"\n".into(),
        };
        let format = match self.format {
            Format::Json => "json",
            Format::Avro => "avro",
        };
        let [session, user, wallet] = &self.inputs;
        format!(
            r#"name = "{name}"
http = "off"
[kafka]
bootstrap.servers = "{brokers}"
{schemas}
[defaults]
format = "{format}"
time = "value.processedAt"
out_of_orderness = "20s"
[inputs]
session.topic = "{session}"
user.topic = "{user}"
wallet.topic = "{wallet}"
[outputs]
enriched.topic = "{output}"
[lookups.session]
url = "{url}"
[rules]
file = "{rules}"
"#,
            name = self.name,
            brokers = self.rig.brokers(),
            output = self.output,
            url = service().url(),
            rules = env!("GUEST_ENRICH_WASM"),
        )
    }

    /// A path in the pipeline's folder.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The pipeline's file.
    pub fn file(&self) -> PathBuf {
        self.path("pelton.toml")
    }

    /// Starts a process of the pipeline.
    pub fn run(&self, sets: &[&str]) -> Process {
        Process::run(&self.file(), sets, &self.path("log"))
    }

    /// Reads the output from the beginning.
    pub fn tail(&self) -> Tail {
        Tail::new(self.rig, &self.output)
    }

    /// Like [`run`](Stage::run), with this log file.
    pub fn run_in(&self, log: &str, sets: &[&str]) -> Process {
        Process::run(&self.file(), sets, &self.path(log))
    }

    /// Generates traffic, writes it into the topics, and keeps it for the auditor.
    pub fn produce(&mut self, parameters: Parameters) {
        self.parts(parameters, 1).put(self);
    }

    /// Generates traffic that is written in this many parts.
    pub fn parts(&self, parameters: Parameters, parts: usize) -> Parts {
        assert_eq!(parameters.format, self.format);
        let mut traffic = Traffic::new(parameters);
        let mut all = vec![];
        while let Some(item) = traffic.next() {
            let record = Record::new(item.key, item.value)
                .at(item.partition.0)
                .time(item.timestamp);
            all.push((item.stream as usize, record));
        }
        let size = all.len().div_ceil(parts).max(1);
        all.reverse();
        Parts { all, size }
    }

    /// Writes records to the input of this rank. Each must name its partition.
    pub fn put(&mut self, rank: usize, records: Vec<Record>) {
        match &self.rewrite {
            Some((topic, rewrite)) if *topic == self.inputs[rank] => {
                let rewritten: Vec<_> = records.iter().map(rewrite).collect();
                self.rig.produce(topic, &rewritten).unwrap();
            }
            _ => self.rig.produce(&self.inputs[rank], &records).unwrap(),
        }
        for record in records {
            let partition = record.partition.expect("a record of the traffic names its partition") as usize;
            self.records[rank][partition].push(record);
        }
    }

    /// The outputs that must come of it.
    pub fn expected(&self) -> Expected {
        Expected::of(self.format, &self.records)
    }
}

impl Drop for Stage {
    /// A failed test shows the output of its processes, and what they refused.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for entry in std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("log") {
                let said = std::fs::read_to_string(entry.path()).unwrap_or_default();
                eprintln!("{}:\n{said}", entry.path().display());
            }
        }
        let broker = self.rig.said();
        let lines: Vec<_> = broker.lines().collect();
        eprintln!("broker:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
        for (what, shown) in [("dead-letters", 3), ("journal", 0), ("enriched", 0)] {
            // A broker that is away has nothing to show.
            let Ok(records) = self.rig.read(&format!("{}-{what}", self.name)) else {
                continue;
            };
            eprintln!("{what}: {} committed records", records.len());
            for record in records.iter().take(shown) {
                let headers: Vec<_> = record
                    .headers
                    .iter()
                    .map(|(name, value)| (name, String::from_utf8_lossy(value)))
                    .collect();
                eprintln!("  {headers:?}");
            }
        }
    }
}

/// Traffic that is not written yet.
pub struct Parts {
    /// (rank, record), with the last one first.
    all: Vec<(usize, Record)>,
    size: usize,
}

impl Parts {
    /// Writes the next part.
    pub fn put(&mut self, stage: &mut Stage) {
        let part = self.all.split_off(self.all.len().saturating_sub(self.size));
        let mut topics: [Vec<Record>; 3] = Default::default();
        part.into_iter()
            .rev()
            .for_each(|(rank, record)| topics[rank].push(record));
        for (rank, records) in topics.into_iter().enumerate() {
            stage.put(rank, records);
        }
    }

    /// Writes the next part. Returns what must have come out after it, or `None` if there was no part left.
    pub fn next(&mut self, stage: &mut Stage) -> Option<Expected> {
        if self.all.is_empty() {
            return None;
        }
        self.put(stage);
        Some(stage.expected())
    }
}

/// The pipeline's schemas in the order of their ids, with the topics that they belong to.
pub fn schemas() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/schemas");
    [
        "1-wallet-events",
        "2-user-session-events",
        "3-user-events",
        "4-money-enriched-events",
    ]
    .iter()
    .map(|name| {
        let text = std::fs::read_to_string(folder.join(format!("{name}.avsc"))).unwrap();
        (name[2..].to_string(), text)
    })
    .collect()
}
