//! The rig's schema registry answers like Confluent's.

use pelton_tests::rig::Rig;

#[test]
fn a_schema_is_registered_and_found_by_its_id() {
    let registry = Rig::registry().unwrap();
    let schema = r#"{"type":"record","name":"User","fields":[{"name":"id","type":"string"}]}"#;
    let id = registry.register("users-value", schema).unwrap();
    assert_eq!(registry.register("users-value", schema).unwrap(), id);
    let found = registry.call("GET", &format!("/schemas/ids/{id}"), None).unwrap();
    assert!(found["schema"].as_str().unwrap().contains("User"), "{found}");
    assert!(registry.call("GET", "/schemas/ids/999999", None).is_err());
}
