fn main() {
    let enriched = match cfg!(feature = "counted") {
        true => "schemas/money-enriched-events-counted.avsc",
        false => "schemas/money-enriched-events.avsc",
    };
    let written = pelton_avro::Schemas::new()
        .union("WalletEvent", "schemas/wallet-events.avsc")
        .union("UserSessionEvent", "schemas/user-session-events.avsc")
        .union("UserEvent", "schemas/user-events.avsc")
        .file(enriched)
        .file("schemas/session-request.avsc")
        .write();
    if let Err(error) = written {
        panic!("{error}");
    }
}
