//! Runs random rules on random inputs. The kit asserts that effects and state don't depend on the cuts. This test also
//! compares every read with a plain map of entries.

mod plain;
mod world;

use pelton_sdk::testkit::{Input, Kit, datum};
use pelton_sdk::*;
use plain::Plain;
use proptest::prelude::*;
use std::time::Duration;
use world::{MAP, Name, Program, TEXTS, TTL, VALUE, World, run};

#[derive(Event)]
enum Event<'a> {
    First(&'a [u8]),
    #[name = "the-second"]
    Second(Option<&'a [u8]>),
}

#[derive(Due)]
enum Due<'a> {
    Nothing,
    /// Runs the rest of a program.
    Rest {
        mark: u8,
        program: &'a [u8],
    },
}

#[derive(Reply)]
enum Reply<'a> {
    Oracle(u8, &'a [u8], Result<i64, NoAnswer>),
}

struct Probe {
    map: Map<(Text, u8), i64>,
    value: Value<i64>,
    set: Set<Text>,
    oracle: Lookup<(u8, Bytes), i64>,
    log: Output<&'static str>,
    other: Output<i64>,
    counter: Counter,
}

/// The real rules.
struct Real<'r, 'c, 'a>(&'r Probe, &'c mut Ctx<'a>);

fn millis(ttl: i64) -> Duration {
    Duration::from_millis(ttl as u64)
}

impl World for Real<'_, '_, '_> {
    fn get(&mut self, store: usize, name: Name) -> Option<i64> {
        match store {
            MAP => self.0.map.get(self.1, name),
            VALUE => self.0.value.get(self.1),
            _ => self.0.set.has(self.1, name.0).then_some(0),
        }
    }
    fn has(&mut self, store: usize, name: Name) -> bool {
        match store {
            MAP => self.0.map.has(self.1, name),
            _ => self.0.set.has(self.1, name.0),
        }
    }
    fn put(&mut self, store: usize, name: Name, value: i64, ttl: Option<i64>) {
        match (store, ttl) {
            (MAP, None) => self.0.map.put(self.1, name, &value),
            (MAP, Some(ttl)) => self.0.map.put_for(self.1, name, &value, millis(ttl)),
            (VALUE, None) => self.0.value.put(self.1, &value),
            (VALUE, Some(ttl)) => self.0.value.put_for(self.1, &value, millis(ttl)),
            _ => drop(self.0.set.touch(self.1, name.0)),
        }
    }
    fn delete(&mut self, store: usize, name: Name) {
        match store {
            MAP => self.0.map.delete(self.1, name),
            VALUE => self.0.value.delete(self.1),
            _ => self.0.set.delete(self.1, name.0),
        }
    }
    fn clear(&mut self, head: Option<&str>) {
        match head {
            Some(head) => self.0.map.clear(self.1, head),
            None => self.0.map.clear_all(self.1),
        }
    }
    fn walk(
        &mut self,
        head: Option<&str>,
        drain: bool,
        limit: usize,
        each: &mut dyn FnMut(&mut Self, String, u8, i64),
    ) {
        let map = &self.0.map;
        let mut scan: Box<dyn Iterator<Item = (Name, i64)>> = match (head, drain) {
            (Some(head), false) => Box::new(map.scan(self.1, head)),
            (Some(head), true) => Box::new(map.drain(self.1, head)),
            (None, false) => Box::new(map.scan_all(self.1)),
            (None, true) => Box::new(map.drain_all(self.1)),
        };
        for _ in 0..limit {
            let Some(((text, number), value)) = scan.next() else {
                break;
            };
            each(self, text.into(), number, value);
        }
    }
    fn act(&mut self, [op, a, b, c]: [u8; 4], rest: &Program) -> bool {
        let (probe, ctx) = (self.0, &mut *self.1);
        match op % 24 {
            19 => ctx.set_timer(
                ctx.now() + i64::from(a % 8),
                Due::Rest {
                    mark: b % 2,
                    program: rest,
                },
            ),
            20 => probe.oracle.ask(ctx, (b % 2, rest), &c.into()),
            21 if c % 2 == 0 => ctx.cancel(Due::Rest {
                mark: b % 2,
                program: rest,
            }),
            21 => ctx.set_timer_in(millis(i64::from(a)), Due::Nothing),
            22 => {
                let header = ctx.header("h").map(|value| value.len());
                let text = ctx.text(format_args!("{header:?} {:?}", ctx.headers().collect::<Vec<_>>()));
                let record = probe.log.record(ctx).time(a.into());
                let record = if b % 2 == 0 {
                    record.key(TEXTS[a as usize % 5])
                } else {
                    record
                };
                match c % 3 {
                    0 => record.send_tombstone(),
                    1 => record.header("x", b"1").header("", &[c]).send(&text),
                    _ => record.send(&text),
                }
            }
            _ => {
                probe.other.send(ctx, &c.into());
                probe.counter.add(ctx, a.into());
            }
        }
        !matches!(op % 24, 19 | 20)
    }
}

impl Probe {
    fn step(&self, ctx: &mut Ctx, program: &Program) -> Outcome {
        let mut said = format!("{:?} {} {program:?}: ", ctx.key_text()?, ctx.now());
        run(&mut Real(self, ctx), program, &mut said)?;
        self.log.send(ctx, &said.as_str());
        Ok(())
    }
}

impl Rules for Probe {
    type Settings = ();
    type Event<'a> = Event<'a>;
    type Due<'a> = Due<'a>;
    type Reply<'a> = Reply<'a>;

    fn new(_: (), declare: &mut Declare) -> Self {
        Probe {
            map: declare.map("map"),
            value: declare.value("value"),
            set: declare.set("set").ttl(millis(TTL)),
            oracle: declare.lookup("oracle"),
            log: declare.output("log"),
            other: declare.output("other"),
            counter: declare.counter("counter"),
        }
    }

    fn reads(&self, step: &Step<Self>, want: &mut Reads) {
        let program = match step {
            Step::Event(Record {
                event: Event::First(program) | Event::Second(Some(program)),
                ..
            }) => program,
            Step::Timer(Due::Rest { program, .. }) | Step::Reply(Reply::Oracle(_, program, _)) => program,
            _ => return,
        };
        for &[op, a, b, _] in program.as_chunks::<4>().0.iter().filter(|op| op[3] % 4 > 0) {
            match op % 24 {
                0..6 => self.map.want(want, (TEXTS[a as usize % 5], b % 3)),
                6..9 => self.value.want(want),
                9..=11 => self.set.want(want, TEXTS[a as usize % 5]),
                13..=15 if a % 4 > 0 => self.map.want_scan(want, TEXTS[a as usize % 5]),
                _ => {}
            }
        }
    }

    fn on_event<'a>(&self, ctx: &mut Ctx<'a>, record: Record<Event<'a>>) -> Outcome {
        match record.event {
            Event::First(program) | Event::Second(Some(program)) => self.step(ctx, program),
            Event::Second(None) => self.step(ctx, &[15, 0, 0, 1]),
        }
    }

    fn on_timer<'a>(&self, ctx: &mut Ctx<'a>, due: Due<'a>) -> Outcome {
        match due {
            Due::Nothing => Ok(()),
            Due::Rest { program, .. } => self.step(ctx, program),
        }
    }

    fn on_reply<'a>(&self, ctx: &mut Ctx<'a>, Reply::Oracle(mark, program, answer): Reply<'a>) -> Outcome {
        self.other.send(ctx, &(answer.unwrap_or(-1) * 2 + i64::from(mark)));
        self.step(ctx, program)
    }
}

type Planned = (u8, i64, bool, bool, Vec<[u8; 4]>, u8);

fn check(seed: u64, planned: Vec<Planned>) {
    let mut kit = Kit::<Probe>::seeded("", seed);
    kit.service::<i64>("oracle", 3, |request| match request % 4 {
        0 => Err(NoAnswer::Absent),
        1 => Err(NoAnswer::Unreadable),
        n => Ok(datum::<i64>(&n)),
    });
    let mut time = 1000;
    for (key, after, second, late, program, other) in planned {
        time += after;
        let value = match (second, other) {
            (true, 0..10) => None,
            (_, 10..20) => Some(vec![7]), // not a valid datum
            _ => Some(datum::<&[u8]>(&program.as_flattened())),
        };
        kit.input(Input {
            stream: if second { "the-second" } else { "first" }.into(),
            key: TEXTS[1 + key as usize % 2].into(),
            time,
            late,
            value,
            headers: (0..other % 3).map(|n| ("h".into(), vec![other; n.into()])).collect(),
        });
    }
    kit.run_to(time + 10_000);
    let mut plain = Plain::default();
    for sent in kit.sent("log", |text| avro::decode_all::<&str>(text).expect("a text").to_owned()) {
        let Some(said) = sent.value.as_ref().and_then(|text| text.strip_prefix('"')) else {
            continue;
        };
        let (key, rest) = said.split_once("\" ").expect("the key");
        let (now, rest) = rest.split_once(" [").expect("the time");
        let (program, _) = rest.split_once("]: ").expect("the program");
        plain.key = key.replace("\\0", "\0");
        plain.now = now.parse().expect("a time");
        let program: Vec<u8> = program.split(", ").filter_map(|byte| byte.parse().ok()).collect();
        let mut expected = format!("{:?} {} {program:?}: ", plain.key, plain.now);
        run(&mut plain, &program, &mut expected).expect("a rejected step says nothing");
        assert_eq!(format!("\"{said}"), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_same_however_it_is_cut(
        seed in any::<u64>(),
        planned in prop::collection::vec(
            (any::<u8>(), 0i64..4, any::<bool>(), any::<bool>(), prop::collection::vec(any::<[u8; 4]>(), 0..10), any::<u8>()),
            1..40,
        ),
    ) {
        check(seed, planned);
    }
}
