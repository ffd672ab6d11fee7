//! How many cases a peer answers right. A case is a line of JSON: definitions, an input, and what PostHog answers, as in
//! `tests/flags` of the crate.

use crate::peer::{self, Loaded};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;

/// Prints how many of the cases are answered in which way. With the variable `SHOW` in the environment, the names of
/// those that are not right too.
pub fn count() {
    let show = std::env::var_os("SHOW").is_some();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for line in io::stdin().lines() {
        let case: Value = serde_json::from_str(&line.expect("text")).expect("a case in each line");
        let verdict = verdict(&case);
        *counts.entry(verdict).or_default() += 1;
        if show && verdict != "right" {
            eprintln!("{} {}", case["id"], verdict);
        }
    }
    let of = |verdict: &str| counts.get(verdict).copied().unwrap_or(0);
    let all = ["right", "wrong", "gives up", "refuses"];
    println!("{}", all.map(|verdict| of(verdict).to_string()).join(" "));
}

fn verdict(case: &Value) -> &'static str {
    peer::set_clock(seconds(case["now"].as_str().expect("a time")));
    let body = serde_json::to_vec(&case["definitions"]).expect("JSON");
    let Ok(loaded) = Loaded::of(&body) else {
        return "refuses";
    };
    let input = &case["input"];
    let key = input["flag"].as_str().expect("a key");
    let answer = loaded.decide(key, &peer::user(input));
    let others = case["accept"].as_array().into_iter().flatten();
    let mut accepted = std::iter::once(&case["expect"]).chain(others);
    let is_right = accepted.any(|accepted| match &answer {
        Some(value) => accepted["decided"] == true && accepted["value"] == *value,
        None => accepted["decided"] == false,
    });
    match answer {
        _ if is_right => "right",
        Some(_) => "wrong",
        None => "gives up",
    }
}

/// Since 1970, of a time such as `2031-03-31T12:30:00Z`.
fn seconds(time: &str) -> u64 {
    let numbers = time.split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
    let [year, month, day, hour, minute, second] = numbers[..] else {
        panic!("{time}: not a time such as 2031-03-31T12:30:00Z");
    };
    // Years that begin in March, so that the day that some have more is their last.
    let year = if month < 3 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + of_year - 719_468;
    ((days * 24 + hour) * 60 + minute) * 60 + second
}
