//! Pelton as a whole: one test binary, a module a subject.

mod rules;
