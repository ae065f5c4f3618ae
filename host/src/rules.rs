//! The port to the rules: compile a component, describe it, run it on batches.
//!
//! Rule: a trap or a refused component never harms the worker; a guest sees state only through [`State::get_many`], and
//! answers only with effects.
