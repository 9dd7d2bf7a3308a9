//! What one check gathers: differences, remarks and figures.

use std::collections::BTreeMap;
use std::fmt::Display;

use common::job::Check;
use serde_json::Value;

/// More differences of one kind tell nothing new.
const MOST: usize = 40;

/// A check in the making.
pub struct Findings {
    name: &'static str,
    wrong: Vec<String>,
    more: usize,
    remarks: Vec<String>,
    figures: BTreeMap<String, Value>,
}

impl Findings {
    /// Nothing found yet.
    pub fn new(name: &'static str) -> Self {
        Self { name, wrong: Vec::new(), more: 0, remarks: Vec::new(), figures: BTreeMap::new() }
    }

    /// A difference.
    pub fn wrong(&mut self, text: impl Into<String>) {
        if self.wrong.len() < MOST {
            self.wrong.push(text.into());
        } else {
            self.more += 1;
        }
    }

    /// Worth knowing, but no difference.
    pub fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }

    /// Something odd. The source may be odd in the same way: then the result is right to be.
    pub fn odd(&mut self, text: impl Display, in_source_too: bool) {
        if in_source_too {
            self.remark(format!("{text}, as in the source"));
        } else {
            self.wrong(text.to_string());
        }
    }

    /// A difference unless both are equal.
    pub fn equal<T: PartialEq + Display + ?Sized>(&mut self, what: impl Display, want: &T, found: &T) {
        if want != found {
            self.wrong(format!("{what} is {found} instead of {want}"));
        }
    }

    /// A difference unless there are none.
    pub fn zero(&mut self, what: &str, n: u64) {
        if n > 0 {
            self.wrong(format!("{n} {what}"));
        }
    }

    /// A figure for programs.
    pub fn figure(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.into(), value.into());
    }

    /// The check; `good` says what was found where nothing is wrong.
    pub fn finish(mut self, good: impl Into<String>) -> Check {
        if self.more > 0 {
            self.wrong.push(format!("and {} more", self.more));
        }
        let ok = self.wrong.is_empty();
        let found = if ok { good.into() } else { self.wrong.join("; ") };
        Check {
            name: self.name.into(),
            ok,
            found,
            differences: self.wrong,
            remarks: self.remarks,
            figures: self.figures,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_with_both_values() {
        let mut f = Findings::new("frames");
        f.equal("the number of frames", &120, &119);
        f.zero("frames without rpu", 0);
        f.figure("frames", 119);
        let check = f.finish("fine");
        assert_eq!((check.ok, check.found.as_str()), (false, "the number of frames is 119 instead of 120"));
        assert_eq!(check.differences, ["the number of frames is 119 instead of 120"]);
        assert_eq!(check.figures["frames"], 119);
    }

    #[test]
    fn oddities_of_the_source_are_no_fault_of_the_result() {
        let mut f = Findings::new("levels");
        f.odd("3 frames are strange", true);
        let check = f.finish("fine");
        assert_eq!((check.ok, check.found.as_str()), (true, "fine"));
        assert_eq!(check.remarks, ["3 frames are strange, as in the source"]);
    }

    #[test]
    fn a_flood_of_differences_is_bounded() {
        let mut f = Findings::new("tags");
        (0..1000).for_each(|n| f.wrong(format!("tag {n}")));
        let check = f.finish("fine");
        assert_eq!(check.differences.len(), MOST + 1);
        assert_eq!(check.differences[MOST], "and 960 more");
    }
}
