//! A broker with TLS and SASL. Setting librdkafka's properties is enough. If they are wrong, the start fails and says
//! what to fix.

use super::process::pelton;
use super::*;
use pelton_tests::rig::secure::{PASSWORD, Secured, USER};

/// Settings for the stage's broker on its secured listener. If a setting occurs twice, the last one counts.
fn sets(secured: &Secured, mechanism: &str, more: &[&str]) -> Vec<String> {
    let mut sets = vec![
        format!("kafka.bootstrap.servers={}", secured.brokers()),
        "kafka.security.protocol=sasl_ssl".into(),
        format!("kafka.sasl.mechanism={mechanism}"),
        format!("kafka.sasl.username={USER}"),
        format!("kafka.sasl.password={PASSWORD}"),
        format!("kafka.ssl.ca.location={}", secured.ca().display()),
    ];
    sets.extend(more.iter().map(ToString::to_string));
    sets
}

fn words(sets: &[String]) -> Vec<&str> {
    sets.iter().map(String::as_str).collect()
}

#[test]
fn a_broker_behind_tls_and_sasl_is_used_by_librdkafkas_properties_and_wrong_ones_end_the_start() {
    let secured: &'static Secured = Box::leak(Box::new(Secured::start().unwrap()));
    let mut stage = Stage::new(&secured.rig, Source::None);
    stage.produce(varied(Format::Json, 500));
    let expected = stage.expected();
    let mut tail = stage.tail();

    // What is wrong, and what the message must contain. None of these errors may be retried forever.
    let foreign = format!("kafka.ssl.ca.location={}", secured.foreign_ca().unwrap().display());
    let wrong = [
        ("SCRAM-SHA-256", "kafka.sasl.password=wrong-one", "sasl.password"),
        ("PLAIN", "kafka.sasl.password=wrong-one", "sasl.password"),
        ("SCRAM-SHA-256", "kafka.sasl.mechanism=SCRAM-SHA-512", "sasl.mechanism"),
        ("SCRAM-SHA-256", &foreign, "ssl.ca.location"),
        ("SCRAM-SHA-256", "kafka.ssl.ca.location=nowhere.pem", "ssl.ca.location"),
    ];
    for (mechanism, change, says) in wrong {
        let sets = sets(secured, mechanism, &[change]);
        let begun = Instant::now();
        let mut process = stage.run_in(&Rig::unique("log"), &words(&sets));
        let code = process.code(PATIENCE);
        let said = process.said();
        println!("{change}: ended with {code} after {:?}:\n{said}", begun.elapsed());
        assert_eq!(code, 3, "{change}: {said}");
        assert!(said.contains(says), "{change}: {said}");
        assert!(
            !said.contains("wrong-one") && !said.contains(PASSWORD),
            "{change}: {said}"
        );
        let check = pelton("check", &stage.file(), &words(&sets));
        let out = String::from_utf8_lossy(&check.stdout);
        println!("check: {out}");
        assert_eq!(check.status.code(), Some(1), "{change}: {out}");
        assert!(out.contains(says), "{change}: {out}");
    }

    let plain = sets(secured, "PLAIN", &[]);
    let check = pelton("check", &stage.file(), &words(&plain));
    assert_eq!(
        check.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&check.stdout)
    );

    let scram = sets(secured, "SCRAM-SHA-256", &["workers=2"]);
    let mut process = stage.run(&words(&scram));
    tail.until(expected.count(), PATIENCE, || process.lives());
    process.stop();
    tail.follow(Duration::from_millis(200));
    expected.check(&tail.records);
    secured.rig.stop();
}
