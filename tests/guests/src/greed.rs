//! Takes more than there is: time, memory, stack.
//!
//! Rule: nothing here ends by itself, and the optimiser can't see that.

use std::hint::black_box;

pub fn run_for_ever() {
    let mut i = 0_u64;
    while black_box(true) {
        i = black_box(i + 1);
    }
}

pub fn eat() {
    let mut eaten = Vec::new();
    loop {
        eaten.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Deep recursion with little stack in memory, so the native stack ends first.
pub fn recurse(n: u64) -> u64 {
    if black_box(n) == 0 {
        0
    } else {
        recurse(black_box(n + 1)) + black_box(1)
    }
}

/// Deep recursion with a lot of stack in memory, so that stack ends first.
pub fn recurse_wide(n: u64) -> u64 {
    let wide = black_box([n; 512]);
    if black_box(n) == 0 {
        0
    } else {
        recurse_wide(n + 1) + black_box(wide)[7]
    }
}
