//! `make demo`: see [`pelton_demo::run`].

fn main() -> anyhow::Result<()> {
    pelton_demo::run::main()
}
