//! Rules by which a store clears away by itself: what they are, and what would change in a bucket's configuration.

use std::fmt;
use std::num::NonZero;
use std::time::Duration;

use serde::Serialize;

/// Id of the rule that deletes old recordings.
const RETENTION: &str = "roomtone-retention";

/// Id of the rule that discards what nobody will finish.
const UNFINISHED: &str = "roomtone-unfinished-uploads";

/// Days after which an upload in parts that was not completed is discarded: longer than any session and any outage that
/// its host goes on after.
const UNFINISHED_DAYS: NonZero<u32> = NonZero::new(7).expect("seven is not zero");

/// Seconds in a day, which is what rules count in.
const DAY: u64 = 24 * 60 * 60;

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// Deletes objects so many days after they were written.
    DeleteAfterDays(NonZero<u32>),
    /// Discards uploads in parts that are unfinished so many days after they were begun.
    DiscardUnfinishedAfterDays(NonZero<u32>),
}

/// A rule of Roomtone's in the bucket's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnRule {
    /// Tells it from all others; nothing with another id is touched.
    pub id: &'static str,
    /// What the keys begin with that it is about.
    pub prefix: String,
    /// What it does.
    pub action: RuleAction,
}

impl fmt::Display for OwnRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = &self.prefix;
        write!(f, "{}: ", self.id)?;
        match self.action {
            RuleAction::DeleteAfterDays(days) => {
                write!(f, "deletes everything below {prefix} {days} day(s) after it was written, whoever put it there")
            }
            RuleAction::DiscardUnfinishedAfterDays(days) => {
                write!(f, "discards uploads below {prefix} that are unfinished {days} day(s) after they were begun")
            }
        }
    }
}

/// The rules that Roomtone wants of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleRules {
    prefix: String,
    retention: Option<NonZero<u32>>,
}

impl LifecycleRules {
    /// Rules for keys that begin with `prefix`. Recordings are deleted after this age at the earliest: rules count whole
    /// days.
    #[must_use]
    pub fn new(prefix: impl Into<String>, retention: Option<Duration>) -> Self {
        let days = |age: Duration| u32::try_from(age.as_secs().div_ceil(DAY)).unwrap_or(u32::MAX);
        let retention = retention.map(|age| NonZero::new(days(age)).unwrap_or(NonZero::<u32>::MIN));
        Self { prefix: prefix.into(), retention }
    }

    /// What the keys begin with that the rules are about. Where it is empty, that is the whole bucket.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Each of the rules.
    #[must_use]
    pub fn wanted(&self) -> Vec<OwnRule> {
        let rule = |id, action| OwnRule { id, prefix: self.prefix.clone(), action };
        let retention = self.retention.map(|days| rule(RETENTION, RuleAction::DeleteAfterDays(days)));
        let unfinished = rule(UNFINISHED, RuleAction::DiscardUnfinishedAfterDays(UNFINISHED_DAYS));
        retention.into_iter().chain([unfinished]).collect()
    }

    /// Whether a rule of this id is Roomtone's.
    pub(crate) fn is_own(id: &str) -> bool {
        Self::own_id(id).is_some()
    }

    /// The id, if it is one of Roomtone's rules.
    pub(crate) fn own_id(id: &str) -> Option<&'static str> {
        [RETENTION, UNFINISHED].into_iter().find(|own| *own == id)
    }
}

/// A difference between the rules that are there and those that are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum LifecycleChange {
    /// It is not there.
    Add {
        /// What comes.
        rule: OwnRule,
    },
    /// One of its id is there and says something else.
    Replace {
        /// What comes in its place.
        rule: OwnRule,
    },
    /// It is there and no longer wanted.
    Remove {
        /// Its id.
        id: String,
    },
}

impl fmt::Display for LifecycleChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { rule } => write!(f, "+ {rule}"),
            Self::Replace { rule } => write!(f, "~ {rule}"),
            Self::Remove { id } => write!(f, "- {id}"),
        }
    }
}

/// What a bucket's configuration says, and what changes in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LifecycleReport {
    /// What would change, or has changed.
    pub changes: Vec<LifecycleChange>,
    /// How many rules of others are there. They stay as they are.
    pub others: usize,
    /// What was put there and is not to be found there afterwards: the store does not know such rules.
    pub not_kept: Vec<OwnRule>,
}

impl LifecycleReport {
    /// Whether the store deletes what is too old by itself, exactly as wanted.
    #[must_use]
    pub fn deletes_by_itself(&self, rules: &LifecycleRules) -> bool {
        let about_retention = |change: &LifecycleChange| match change {
            LifecycleChange::Add { rule } | LifecycleChange::Replace { rule } => rule.id == RETENTION,
            LifecycleChange::Remove { id } => id == RETENTION,
        };
        rules.retention.is_some() && !self.changes.iter().any(about_retention)
    }
}

/// What is to be done about own rules that are there, by id, each with whether it is as wanted.
pub(crate) fn changes(there: &[(String, Option<OwnRule>)], wanted: &[OwnRule]) -> Vec<LifecycleChange> {
    let mut changes: Vec<LifecycleChange> = there
        .iter()
        .filter(|(id, _)| !wanted.iter().any(|rule| rule.id == id))
        .map(|(id, _)| LifecycleChange::Remove { id: id.clone() })
        .collect();
    for rule in wanted {
        let found: Vec<_> = there.iter().filter(|(id, _)| id == rule.id).map(|(_, found)| found).collect();
        match found[..] {
            [] => changes.push(LifecycleChange::Add { rule: rule.clone() }),
            [Some(found)] if found == rule => {}
            _ => changes.push(LifecycleChange::Replace { rule: rule.clone() }),
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: u32) -> Duration {
        Duration::from_secs(u64::from(days) * DAY)
    }

    #[test]
    fn an_age_becomes_whole_days_and_never_fewer() {
        let action = |age| LifecycleRules::new("r/", Some(age)).wanted()[0].action;
        let after = |days| RuleAction::DeleteAfterDays(NonZero::new(days).unwrap());
        assert_eq!(action(days(90)), after(90));
        assert_eq!(action(days(90) + Duration::from_secs(1)), after(91));
        assert_eq!(action(Duration::ZERO), after(1));
    }

    #[test]
    fn only_what_differs_changes() {
        let rules = LifecycleRules::new("r/", Some(days(90)));
        let wanted = rules.wanted();
        let there = |rules: &[OwnRule]| -> Vec<(String, Option<OwnRule>)> {
            rules.iter().map(|rule| (rule.id.to_owned(), Some(rule.clone()))).collect()
        };
        assert_eq!(changes(&there(&wanted), &wanted), []);
        assert_eq!(changes(&[], &wanted).len(), 2);
        let shorter = LifecycleRules::new("r/", Some(days(30))).wanted();
        let replaced = changes(&there(&shorter), &wanted);
        assert_eq!(replaced, [LifecycleChange::Replace { rule: wanted[0].clone() }]);
        let none = LifecycleRules::new("r/", None).wanted();
        assert_eq!(changes(&there(&wanted), &none), [LifecycleChange::Remove { id: RETENTION.into() }]);
        // One of our id that says something we do not understand is not as wanted.
        assert_eq!(changes(&[(RETENTION.into(), None), (UNFINISHED.into(), Some(none[0].clone()))], &wanted), replaced);
        let report = |changes| LifecycleReport { changes, others: 0, not_kept: vec![] };
        assert!(report(vec![]).deletes_by_itself(&rules) && !report(replaced).deletes_by_itself(&rules));
        assert!(!report(vec![]).deletes_by_itself(&LifecycleRules::new("r/", None)));
    }
}
