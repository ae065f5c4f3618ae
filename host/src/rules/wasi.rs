//! WASI for guests whose language needs it. It gives access to nothing.
//!
//! Rule: every `wasi:` import is linked. What languages call at start gets a fixed, empty answer. What they print goes
//! to the log. Clocks, entropy, files and sockets trap when they are called, and the trap names the function.

use super::Level;
use super::inside::Inside;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, Resource, ResourceType, Val};
use wasmtime::{AsContextMut, Result, StoreContextMut};

/// How many bytes a stream accepts at once. The log would cut more.
const WINDOW: u64 = 4096;

/// Links every `wasi:` import of the component, in the version that it names.
pub(super) fn link(linker: &mut Linker<Inside>, component: &Component) -> Result<()> {
    let engine = component.engine();
    for (name, item) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        if !name.starts_with("wasi:") {
            continue;
        }
        let mut linked = linker.instance(name)?;
        let interface = name.split('@').next().unwrap_or(name);
        for (item_name, item) in instance.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(_) => function(&mut linked, name, interface, item_name)?,
                // All resources have one type, because none of them is ever real.
                ComponentItem::Resource(_) => linked.resource(item_name, ResourceType::host::<()>(), |_, _| Ok(()))?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// Links one function: a fixed answer, a line of the log, or a trap.
fn function(linked: &mut LinkerInstance<'_, Inside>, name: &str, interface: &str, function: &str) -> Result<()> {
    let answer: fn(StoreContextMut<'_, Inside>, &[Val]) -> Result<Val> = match (interface, function) {
        ("wasi:cli/environment", "get-environment" | "get-arguments") | ("wasi:filesystem/preopens", _) => {
            |_, _| Ok(Val::List(Vec::new()))
        }
        ("wasi:cli/environment", "initial-cwd") => |_, _| Ok(Val::Option(None)),
        ("wasi:cli/stdin" | "wasi:cli/stdout" | "wasi:cli/stderr", _) => |store, _| {
            let stream = Resource::<()>::new_own(0).try_into_resource_any(store)?;
            Ok(Val::Resource(stream))
        },
        (
            "wasi:cli/terminal-stdin" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr",
            "get-terminal-stdin" | "get-terminal-stdout" | "get-terminal-stderr",
        ) => |_, _| Ok(Val::Option(None)),
        ("wasi:io/streams", "[method]input-stream.read" | "[method]input-stream.blocking-read") => {
            |_, _| Ok(Val::Result(Err(Some(Box::new(Val::Variant("closed".into(), None))))))
        }
        ("wasi:io/streams", "[method]output-stream.check-write") => {
            |_, _| Ok(Val::Result(Ok(Some(Box::new(Val::U64(WINDOW))))))
        }
        ("wasi:io/streams", "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush") => print,
        ("wasi:io/streams", "[method]output-stream.flush" | "[method]output-stream.blocking-flush") => {
            |_, _| Ok(Val::Result(Ok(None)))
        }
        _ => {
            let text =
                format!("the rules have called {name}#{function}: rules have no clock, entropy, files or network");
            return linked.func_new(function, move |mut store, _, _, _| {
                Err(store.data_mut().end(super::TrapKind::Host, &text))
            });
        }
    };
    linked.func_new(function, move |mut store, _, arguments, results| {
        // Every answer is for a function with one result. In another version, its type would be refused.
        if let [result] = results {
            *result = answer(store.as_context_mut(), arguments)?;
        }
        // A borrowed stream must be dropped, or wasmtime traps.
        for argument in arguments {
            if let Val::Resource(lent) = argument {
                lent.resource_drop(&mut store)?;
            }
        }
        Ok(())
    })
}

/// Logs what a guest prints.
fn print(mut store: StoreContextMut<'_, Inside>, arguments: &[Val]) -> Result<Val> {
    if let [_, Val::List(bytes)] = arguments {
        let bytes: Vec<u8> = bytes
            .iter()
            .filter_map(|byte| if let Val::U8(byte) = byte { Some(*byte) } else { None })
            .collect();
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(WINDOW as usize)]);
        let text = text.trim_end();
        if !text.is_empty() {
            store.data_mut().line(Level::Info, text.into());
        }
    }
    Ok(Val::Result(Ok(None)))
}
