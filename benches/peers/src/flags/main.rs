//! Feature flags evaluated in this process, by one peer: what `run.py flags` builds for each, and times.
//!
//! `flags time CASE ENTRY`: prints the nanoseconds of one evaluation by that entry point, and its allocations.
//! `flags load`: the same of reading the definitions of 1,000 flags, ready to evaluate.
//! `flags values`: prints what each flag is for each user; peers have to agree before their times are compared.
//! `flags entries`: prints the entry points.
//! `flags answers`: evaluates the cases that it is given on stdin, and counts the answers by verdict.

mod allocations;
mod answers;
mod definitions;
mod peer;
mod timing;

use definitions::Case;
use peer::{ENTRIES, Loaded, User, user};
use serde_json::{Value, json};
use std::env;
use std::hint::black_box;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["time", case, entry] => time(Case::named(case), entry),
        ["load"] => load(),
        ["values"] => println!("{}", values()),
        ["entries"] => println!("{}", ENTRIES.join("\n")),
        ["answers"] => answers::count(),
        _ => panic!("usage: flags time CASE ENTRY | load | values | entries | answers"),
    }
}

fn time(case: Case, entry: &str) {
    assert!(ENTRIES.contains(&entry), "no entry point {entry}");
    let loaded = Loaded::of(&case.body()).expect("definitions");
    let users: Vec<User> = definitions::users().iter().map(user).collect();
    let mut turn = users.iter().cycle();
    let give = || loaded.given(entry, turn.next().expect("a user"));
    timing::print(give, loaded.entry(entry, case));
}

fn load() {
    let body = serde_json::to_vec(&definitions::realistic(1_000)).expect("JSON");
    timing::print(
        || body.as_slice(),
        |body| drop(black_box(Loaded::of(body).expect("definitions"))),
    );
}

fn values() -> Value {
    let users = definitions::users();
    let of_case = |case: Case| {
        let loaded = Loaded::of(&case.body()).expect("definitions");
        let of_user = |input: &Value| {
            let user = user(input);
            let keys = case.keys().into_iter();
            keys.map(|key| loaded.decide(&key, &user).unwrap_or(json!("undecided")))
                .collect::<Value>()
        };
        (case.name(), users.iter().map(of_user).collect::<Value>())
    };
    Case::ALL.map(of_case).into_iter().collect()
}
