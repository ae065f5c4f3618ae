//! The demo, built together with the tests of the whole process. `pelton-it dev` starts it.

fn main() -> anyhow::Result<()> {
    pelton_demo::run::main()
}
