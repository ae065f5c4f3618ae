//! `make demo`. [`pelton_demo::run`] does the work.

fn main() -> anyhow::Result<()> {
    pelton_demo::run::main()
}
