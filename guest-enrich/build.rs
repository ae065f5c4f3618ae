fn main() {
    let written = pelton_avro::Schemas::new()
        .union("WalletEvent", "schemas/wallet-events.avsc")
        .union("UserSessionEvent", "schemas/user-session-events.avsc")
        .union("UserEvent", "schemas/user-events.avsc")
        .file("schemas/money-enriched-events.avsc")
        .file("schemas/session-request.avsc")
        .write();
    if let Err(error) = written {
        panic!("{error}");
    }
}
