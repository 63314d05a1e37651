use std::cell::RefCell;

use super::*;

/// For the model check, which goes many ways from one state.
impl Clone for Ownership {
    fn clone(&self) -> Self {
        Self {
            committable: Mutex::new(locked(&self.committable).clone()),
            reading: Mutex::new(locked(&self.reading).clone()),
            next_epoch: AtomicI64::new(self.next_epoch.load(Ordering::Relaxed)),
            losing: AtomicUsize::new(self.losing.load(Ordering::Relaxed)),
        }
    }
}

fn partition(partition: i32) -> PartitionId {
    PartitionId { topic: "t".into(), partition }
}

/// Giving away waits for the open transaction and losing asks it to abort.
#[test]
fn giving_away_waits_for_the_transaction_losing_aborts_it() {
    for losing in [false, true] {
        let ownership = Ownership::default();
        ownership.gain(&[partition(0), partition(1)]);
        let open = RefCell::new(Some(ownership.for_transaction()));
        let waited = RefCell::new(0);
        let waiting = || {
            assert!(open.borrow().as_ref().is_none_or(|epochs| epochs.contains_key(&partition(0))));
            assert_eq!(ownership.should_abandon(), losing);
            *waited.borrow_mut() += 1;
            drop(open.take());
        };
        if losing {
            ownership.lose(&[partition(0)], &waiting);
        } else {
            ownership.give_away(&[partition(0)], &waiting);
        }
        assert_eq!(*waited.borrow(), 1);
        assert!(!ownership.should_abandon());
        assert_eq!((ownership.epoch(&partition(0)), ownership.partitions()), (None, vec![partition(1)]));
        assert!(!ownership.for_transaction().contains_key(&partition(0)));
    }
}

#[test]
fn what_comes_back_comes_back_under_another_epoch() {
    let ownership = Ownership::default();
    let first = ownership.gain(&[partition(0)]);
    ownership.give_away(&[partition(0)], &|| {});
    let second = ownership.gain(&[partition(0)]);
    assert_ne!(first, second);
    assert_eq!(ownership.for_transaction().get(&partition(0)), second.first());
}
