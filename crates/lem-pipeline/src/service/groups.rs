//! Concurrency groups: pure.

use crate::plan::{Group, MAX_QUEUED_IN_GROUP, Queue};
use lem_model::RunId;
use std::collections::{HashMap, VecDeque};

/// What a new run means for its group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entered {
    /// Whether it may start now.
    pub start: bool,
    /// Runs that waited and are not wanted any more.
    pub superseded: Vec<RunId>,
    /// A run that is to be stopped.
    pub stop: Option<RunId>,
}

#[derive(Debug, Default)]
struct Members {
    running: Option<RunId>,
    waiting: VecDeque<RunId>,
}

/// Who runs and who waits in each group.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<String, Members>,
}

impl Groups {
    /// A run enters its group.
    pub(super) fn enter(&mut self, group: &Group, run: &RunId) -> Entered {
        let members = self.groups.entry(group.name.to_lowercase()).or_default();
        if members.running.is_none() {
            members.running = Some(run.clone());
            return Entered { start: true, ..Entered::default() };
        }
        let mut entered = Entered::default();
        match group.queue {
            Queue::Single => entered.superseded.extend(members.waiting.drain(..)),
            Queue::Max if members.waiting.len() >= MAX_QUEUED_IN_GROUP => {
                entered.superseded.push(run.clone());
                return entered;
            }
            Queue::Max => {}
        }
        members.waiting.push_back(run.clone());
        if group.cancel_in_progress {
            entered.stop.clone_from(&members.running);
        }
        entered
    }

    /// A run has ended; the next one of its group may start.
    pub(super) fn leave(&mut self, run: &RunId) -> Option<RunId> {
        let (name, members) =
            self.groups.iter_mut().find(|(_, m)| m.running.as_ref() == Some(run) || m.waiting.contains(run))?;
        members.waiting.retain(|r| r != run);
        if members.running.as_ref() != Some(run) {
            return None;
        }
        members.running = members.waiting.pop_front();
        let next = members.running.clone();
        if next.is_none() {
            let name = name.clone();
            self.groups.remove(&name);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(queue: Queue, cancel_in_progress: bool) -> Group {
        Group { name: "Deploy".into(), cancel_in_progress, queue }
    }

    fn id(n: usize) -> RunId {
        RunId::new(format!("r{n}"))
    }

    #[test]
    fn a_newer_run_replaces_the_one_that_waits() {
        let mut groups = Groups::default();
        let single = group(Queue::Single, false);
        assert!(groups.enter(&single, &id(1)).start);
        assert_eq!(groups.enter(&single, &id(2)), Entered::default());
        assert_eq!(groups.enter(&single, &id(3)).superseded, [id(2)]);
        assert_eq!(groups.leave(&id(1)), Some(id(3)));
        assert_eq!(groups.leave(&id(3)), None);
        assert!(groups.enter(&single, &id(4)).start);
    }

    #[test]
    fn a_run_may_stop_the_one_that_runs() {
        let mut groups = Groups::default();
        groups.enter(&group(Queue::Single, true), &id(1));
        let entered = groups.enter(&group(Queue::Single, true), &id(2));
        assert_eq!((entered.start, entered.stop), (false, Some(id(1))));
    }

    #[test]
    fn a_long_queue_has_a_limit() {
        let mut groups = Groups::default();
        let max = group(Queue::Max, false);
        for n in 0..=MAX_QUEUED_IN_GROUP {
            assert!(groups.enter(&max, &id(n)).superseded.is_empty());
        }
        assert_eq!(groups.enter(&max, &id(999)).superseded, [id(999)]);
        assert_eq!(groups.leave(&id(0)), Some(id(1)));
    }
}
