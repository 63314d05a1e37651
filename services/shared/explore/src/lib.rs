//! Explores every state that a small system can reach. For tests of protocols whose faults come
//! from the order of events.
//!
//! The search is breadth first, so that the first violation found has the shortest trace. A state
//! is identified by the 64-bit hash of its key; two of a million states share a hash by chance once
//! in 10⁷ runs. What must hold:
//! - [`Model::check`] in every state, and [`Model::next`] at every step;
//! - From every state, steps that are no [faults](Model::is_fault) lead to a state that is
//!   [done](Model::is_done): when faults stop, nothing is stuck.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::fmt;
use std::hash::Hasher;

/// A system that can be explored.
pub trait Model {
    /// Everything that decides which actions are possible.
    type State: Clone;
    /// One step.
    type Action: Clone + fmt::Debug;

    /// The first state.
    fn initial(&self) -> Self::State;
    /// Hashes the key of a state. States of equal keys must behave alike.
    fn key(&self, state: &Self::State, into: &mut DefaultHasher);
    /// The actions that are possible in a state.
    fn actions(&self, state: &Self::State) -> Vec<Self::Action>;
    /// The state after an action. An error means that the step itself is a violation.
    fn next(&self, state: &Self::State, action: &Self::Action) -> Result<Self::State, String>;
    /// What must hold in every state.
    fn check(&self, state: &Self::State) -> Result<(), String>;
    /// Whether the action is a fault, without which the system must still get done.
    fn is_fault(&self, action: &Self::Action) -> bool;
    /// Whether everything is done.
    fn is_done(&self, state: &Self::State) -> bool;
}

/// Result of a complete search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// Steps from the start to the farthest state.
    pub depth: usize,
    /// States in which everything is done.
    pub done: usize,
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, steps, depth, done } = self;
        write!(f, "{states} states, {steps} steps, depth {depth}, done in {done}")
    }
}

/// A rule that does not hold, and the shortest trace to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What does not hold.
    pub what: String,
    /// The steps from the start.
    pub trace: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, after:", self.what)?;
        self.trace.iter().try_for_each(|step| write!(f, "\n  {step}"))
    }
}

/// Explores all states.
///
/// # Errors
/// The violation with the shortest trace. More than `limit` states are a violation too, since a
/// search that was cut short proves nothing.
pub fn explore<M: Model>(model: &M, limit: usize) -> Result<Explored, Violation> {
    let mut search = Search::default();
    let initial = model.initial();
    model.check(&initial).map_err(|what| search.violation(what, 0, None))?;
    search.add(model, &initial, None);
    let (mut frontier, mut depth) = (vec![(0, initial)], 0);
    while !frontier.is_empty() {
        let mut found = Vec::new();
        for (from, state) in frontier {
            for action in model.actions(&state) {
                let next = model.next(&state, &action).and_then(|next| model.check(&next).map(|()| next));
                let next = next.map_err(|what| search.violation(what, from, Some(&action)))?;
                let fault = model.is_fault(&action);
                let (to, new) = search.add(model, &next, Some((from, action)));
                search.steps += 1;
                if !fault {
                    search.faultless.push((to, from));
                }
                if new {
                    found.push((to, next));
                }
            }
            if search.reached.len() > limit {
                return Err(search.violation(format!("there are more than {limit} states"), from, None));
            }
        }
        depth += usize::from(!found.is_empty());
        frontier = found;
    }
    search.nothing_is_stuck()?;
    let done = search.reached.iter().filter(|reached| reached.done).count();
    Ok(Explored { states: search.reached.len(), steps: search.steps, depth, done })
}

struct Search<A> {
    known: HashMap<u64, usize>,
    reached: Vec<Reached<A>>,
    /// Steps that are no faults, as (to, from).
    faultless: Vec<(usize, usize)>,
    steps: usize,
}

struct Reached<A> {
    by: Option<(usize, A)>,
    done: bool,
}

impl<A> Default for Search<A> {
    fn default() -> Self {
        Self { known: HashMap::new(), reached: Vec::new(), faultless: Vec::new(), steps: 0 }
    }
}

impl<A: Clone + fmt::Debug> Search<A> {
    /// Records a state; returns its number, and whether it is new.
    fn add<M: Model<Action = A>>(&mut self, model: &M, state: &M::State, by: Option<(usize, A)>) -> (usize, bool) {
        let mut hasher = DefaultHasher::new();
        model.key(state, &mut hasher);
        match self.known.entry(hasher.finish()) {
            Entry::Occupied(known) => (*known.get(), false),
            Entry::Vacant(unknown) => {
                let number = *unknown.insert(self.reached.len());
                self.reached.push(Reached { by, done: model.is_done(state) });
                (number, true)
            }
        }
    }

    fn violation(&self, what: String, at: usize, last: Option<&A>) -> Violation {
        let mut trace: Vec<String> = last.into_iter().map(|action| format!("{action:?}")).collect();
        let mut at = at;
        while let Some((from, action)) = self.reached.get(at).and_then(|reached| reached.by.as_ref()) {
            trace.push(format!("{action:?}"));
            at = *from;
        }
        trace.reverse();
        Violation { what, trace }
    }

    /// Walks back from every state that is done, and finds those that no walk reaches.
    fn nothing_is_stuck(&mut self) -> Result<(), Violation> {
        self.faultless.sort_unstable();
        let mut can: Vec<bool> = self.reached.iter().map(|reached| reached.done).collect();
        let mut ends: Vec<usize> = (0..can.len()).filter(|number| can[*number]).collect();
        while let Some(to) = ends.pop() {
            let first = self.faultless.partition_point(|step| step.0 < to);
            for (_, from) in self.faultless[first..].iter().take_while(|step| step.0 == to) {
                if !std::mem::replace(&mut can[*from], true) {
                    ends.push(*from);
                }
            }
        }
        // States are numbered in the order in which they were reached: the first has the shortest
        // trace.
        match can.iter().position(|can| !can) {
            Some(stuck) => Err(self.violation("left alone from here, it is never done".to_owned(), stuck, None)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
