//! One Kafka broker.

use super::jars;
use super::ports::free_ports;
use super::process::{Folder, START_TIMEOUT, Server};
use super::registry::Registry;
use super::unique::unique;
use anyhow::{Result, bail};
use parking_lot::{Mutex, MutexGuard};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The heap of the broker.
const HEAP: &str = "-Xmx1g";

/// One Kafka broker (KRaft, one node).
pub struct Rig {
    port: u16,
    folder: Folder,
    classpath: String,
    server: Mutex<Option<Server>>,
}

impl Rig {
    /// Starts a broker, and waits until it answers.
    pub fn kafka() -> Result<Rig> {
        Rig::kafka_with(&[])
    }

    /// The same, with these additional settings in its `server.properties`.
    pub fn kafka_with(settings: &[(&str, &str)]) -> Result<Rig> {
        Rig::with(free_ports()?, settings, &[])
    }

    /// The same on these ports, for the broker and the controller. `format` has more arguments for the tool that
    /// formats the storage.
    pub(super) fn with([port, controller]: [u16; 2], settings: &[(&str, &str)], format: &[&str]) -> Result<Rig> {
        let libs = jars::kafka()?;
        let folder = Folder::new("kafka")?;
        std::fs::write(
            folder.path("server.properties"),
            properties(&folder, port, controller, settings),
        )?;
        let rig = Rig {
            port,
            classpath: format!("{}/*", libs.display()),
            folder,
            server: Mutex::new(None),
        };
        let cluster = "UGVsdG9uLXJpZy1rYWZrYQ"; // any 16 bytes
        let made = rig
            .java("kafka.tools.StorageTool")
            .args(["format", "--standalone", "-t", cluster, "-c"])
            .arg(rig.folder.path("server.properties"))
            .args(format)
            .output()?;
        if !made.status.success() {
            bail!(
                "Kafka's storage can't be formatted: {}",
                String::from_utf8_lossy(&made.stderr)
            );
        }
        rig.start()?;
        Ok(rig)
    }

    /// The broker that all tests of this process share. It ends with the process. Topics need unique names: see
    /// [`Rig::unique`].
    ///
    /// # Panics
    /// If it can't be started. The message says what to install.
    pub fn shared() -> &'static Rig {
        static RIG: OnceLock<Rig> = OnceLock::new();
        RIG.get_or_init(|| Rig::kafka().unwrap_or_else(|error| panic!("{error:#}")))
    }

    /// Starts a schema registry.
    pub fn registry() -> Result<Registry> {
        Registry::start()
    }

    /// The `bootstrap.servers` of the broker.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A name that is used nowhere else.
    pub fn unique(prefix: &str) -> String {
        unique(prefix)
    }

    /// The process id of the broker while it runs, to measure its CPU time.
    pub fn pid(&self) -> Option<u32> {
        self.server().as_ref().map(Server::pid)
    }

    /// The broker's log.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path("broker.log")).unwrap_or_default()
    }

    /// Kills the broker like a crash of its process. What it has acknowledged is in the system's page cache, and is
    /// still there after the next [`Rig::start`].
    pub fn kill(&self) {
        *self.server() = None;
    }

    /// Stops the broker in an orderly way. What it has written is still there after the next [`Rig::start`].
    pub fn stop(&self) {
        if let Some(server) = self.server().take() {
            server.stop();
        }
    }

    /// Freezes the broker with all of its connections, or lets it continue.
    pub fn freeze(&self, still: bool) {
        if let Some(server) = self.server().as_ref() {
            server.freeze(still);
        }
    }

    /// Starts the broker again, with the same ports and data. Waits until it answers.
    pub fn start(&self) -> Result<()> {
        let mut server = self.server();
        if server.is_some() {
            return Ok(());
        }
        let mut command = self.java("kafka.Kafka");
        command.arg(self.folder.path("server.properties"));
        let mut started = Server::spawn(command, &self.folder.path("broker.log"))?;
        let probe: BaseConsumer = self.client().set("log_level", "0").create()?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(log) = started.ended()? {
                bail!("the Kafka broker has ended: {log}");
            }
            match probe.fetch_metadata(None, Duration::from_millis(500)) {
                Ok(metadata) if !metadata.brokers().is_empty() => break,
                answer if Instant::now() > deadline => {
                    bail!(
                        "the Kafka broker does not answer after {} s: {answer:?}",
                        START_TIMEOUT.as_secs(),
                        answer = answer.err()
                    )
                }
                _ => {}
            }
        }
        *server = Some(started);
        Ok(())
    }

    /// The settings of a client of this broker.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers());
        config
    }

    fn java(&self, main: &str) -> Command {
        let mut command = Command::new("java");
        command.args([
            HEAP,
            "-Xms256m",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            &self.classpath,
            main,
        ]);
        command.stdin(Stdio::null());
        command
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock()
    }
}

/// The settings of one node that is broker and controller. Internal topics are small, so that they are created at once.
/// If a setting occurs twice, the last one counts.
fn properties(folder: &Folder, port: u16, controller: u16, more: &[(&str, &str)]) -> String {
    let mut lines = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={}\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=4\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=4\n\
         group.initial.rebalance.delay.ms=0\n\
         auto.create.topics.enable=false\n\
         # Records of a test are of any age: none may go by it.\n\
         log.retention.ms=-1\n",
        folder.path("data").display()
    );
    for (key, value) in more {
        lines += &format!("{key}={value}\n");
    }
    lines
}
