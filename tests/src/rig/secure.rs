//! A broker with TLS and SASL, like one in a company.
//!
//! Rule: its certificate and its user are made for this broker alone, and are removed with its folder. The rig's own
//! clients use the plain listener, so that only Pelton uses the secured one.

use super::broker::Rig;
use super::ports::free_ports;
use super::process::Folder;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The only user, and its password.
pub const USER: &str = "pelton";
pub const PASSWORD: &str = "right-one";

/// The password of the key store. It only protects a temporary file.
const STORE_PASSWORD: &str = "changeit";

/// A broker with a second listener, `SASL_SSL`, for SCRAM-SHA-256 and PLAIN.
pub struct Secured {
    pub rig: Rig,
    port: u16,
    folder: Folder,
}

impl Secured {
    /// Makes the certificate, starts the broker, and waits until it answers.
    pub fn start() -> Result<Secured> {
        let folder = Folder::new("secure")?;
        let store = folder.path("broker.p12");
        certify(&store, &folder.path("broker.pem"))?;
        let [plain, controller, port] = free_ports()?;
        let listeners = format!("PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{port}");
        let all = format!("{listeners},CONTROLLER://127.0.0.1:{controller}");
        let module = "org.apache.kafka.common.security";
        let plain_login = format!("{module}.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";");
        let scram_login = format!("{module}.scram.ScramLoginModule required;");
        let settings = [
            ("listeners", all.as_str()),
            ("advertised.listeners", &listeners),
            (
                "listener.security.protocol.map",
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
            ),
            ("inter.broker.listener.name", "PLAINTEXT"),
            ("ssl.keystore.type", "PKCS12"),
            ("ssl.keystore.location", &store.display().to_string()),
            ("ssl.keystore.password", STORE_PASSWORD),
            ("sasl.enabled.mechanisms", "SCRAM-SHA-256,PLAIN"),
            ("listener.name.sasl_ssl.plain.sasl.jaas.config", &plain_login),
            ("listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config", &scram_login),
        ];
        let scram = format!("SCRAM-SHA-256=[name={USER},password={PASSWORD}]");
        let rig = Rig::with([plain, controller], &settings, &["--add-scram", &scram])?;
        Ok(Secured { rig, port, folder })
    }

    /// The `bootstrap.servers` of the secured listener.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The certificate (PEM) that a client must trust (`ssl.ca.location`).
    pub fn ca(&self) -> PathBuf {
        self.folder.path("broker.pem")
    }

    /// A certificate that did not sign this broker's.
    pub fn foreign_ca(&self) -> Result<PathBuf> {
        let pem = self.folder.path("foreign.pem");
        certify(&self.folder.path("foreign.p12"), &pem)?;
        Ok(pem)
    }
}

/// Makes a key for the loopback address, and its self-signed certificate as PEM.
fn certify(store: &Path, pem: &Path) -> Result<()> {
    let names = "san=ip:127.0.0.1,dns:localhost";
    let make = "-genkeypair -alias broker -keyalg EC -validity 30 -dname CN=localhost -storetype PKCS12 -ext";
    keytool(&[make, names].join(" "), store, None)?;
    keytool("-exportcert -alias broker -rfc -file", store, Some(pem))
}

fn keytool(words: &str, store: &Path, file: Option<&Path>) -> Result<()> {
    let mut command = Command::new("keytool");
    command.args(words.split(' ')).args(file).stdin(Stdio::null());
    command
        .args(["-storepass", STORE_PASSWORD, "-noprompt", "-keystore"])
        .arg(store);
    let done = command
        .output()
        .context("keytool can't be run; it comes with the Java runtime")?;
    if !done.status.success() {
        // keytool writes its errors to stdout.
        bail!("keytool {words}: {}", String::from_utf8_lossy(&done.stdout));
    }
    Ok(())
}
