//! Rust types of the schemas.

fn main() {
    let written = pelton_avro::Schemas::new()
        .union("WalletEvent", "schemas/1-wallet-events.avsc")
        .file("schemas/5-alerts.avsc")
        .write();
    if let Err(error) = written {
        panic!("{error}");
    }
}
