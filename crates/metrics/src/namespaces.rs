//! Summaries by the first component of a path, for every read and every write.
//!
//! Adding a value takes no lock, and memory only for a namespace's first value. The number of namespaces is limited: clients
//! may make nodes below the root without end, and names are never forgotten.

use std::hash::BuildHasher as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use foldhash::fast::FixedState;

use super::{Summary, Value};

/// Namespaces that are shown by name; beyond them all others are one. Threads that come with their first values at the
/// same moment may each bring one more.
pub const NAMESPACES_MAX: usize = 1024;
/// Name of all others together: no node is called so.
const OTHERS: &str = "/";
/// A power of two, and so many that searches stay short and always find an empty slot.
const SLOTS: usize = 2 * NAMESPACES_MAX;

/// Summaries by namespace. An empty one has no memory of its own.
#[derive(Debug, Default)]
pub struct Namespaces {
    /// Slots are filled and never emptied; a namespace is in the first free one from its hash on.
    slots: OnceLock<Box<[Slot]>>,
    used: AtomicUsize,
    others: Summary,
}

type Slot = OnceLock<Box<Namespace>>;

/// Alone in its cache lines, so that clients of different namespaces do not disturb each other.
#[derive(Debug)]
#[repr(align(64))]
struct Namespace {
    summary: Summary,
    name: Box<[u8]>,
}

impl Namespaces {
    /// Adds a value; of a namespace beyond [`NAMESPACES_MAX`] to all others together.
    // Java: AvgMinMaxCounterSet.addDataPoint
    pub fn add(&self, name: &[u8], value: i64) {
        self.of(name).add(value);
    }

    /// Adds all that another one holds.
    pub fn absorb(&self, other: &Self) {
        for namespace in other.all() {
            self.of(&namespace.name).absorb(&namespace.summary);
        }
        self.others.absorb(&other.others);
    }

    fn of(&self, name: &[u8]) -> &Summary {
        let slots = self.slots.get_or_init(|| (0..SLOTS).map(|_| Slot::new()).collect());
        let mask = slots.len() - 1;
        let mut at = usize::try_from(FixedState::default().hash_one(name) & mask as u64).unwrap_or(0);
        loop {
            let namespace = match slots[at].get() {
                Some(namespace) => namespace,
                None if self.used.load(Relaxed) >= NAMESPACES_MAX => return &self.others,
                None => slots[at].get_or_init(|| self.begin(name)),
            };
            // Another thread may have filled the slot meanwhile, with this name or with another one.
            if *namespace.name == *name {
                return &namespace.summary;
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    fn begin(&self, name: &[u8]) -> Box<Namespace> {
        self.used.fetch_add(1, Relaxed);
        Box::new(Namespace { summary: Summary::default(), name: name.into() })
    }

    fn all(&self) -> impl Iterator<Item = &Namespace> {
        self.slots.get().into_iter().flatten().filter_map(OnceLock::get).map(Box::as_ref)
    }

    /// Forgets all values, not the names.
    pub fn reset(&self) {
        self.all().for_each(|namespace| namespace.summary.reset());
        self.others.reset();
    }

    pub(super) fn dump(&self, name: &str, sink: &mut dyn FnMut(&str, Value)) {
        let mut all: Vec<&Namespace> = self.all().collect();
        all.sort_unstable_by_key(|namespace| &namespace.name);
        if self.used.load(Relaxed) >= NAMESPACES_MAX {
            self.others.dump(&format!("{OTHERS}_{name}"), sink);
        }
        for namespace in all {
            namespace.summary.dump(&format!("{}_{name}", String::from_utf8_lossy(&namespace.name)), sink);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn values(namespaces: &Namespaces) -> BTreeMap<String, Value> {
        let mut values = BTreeMap::new();
        namespaces.dump("x", &mut |name, value| {
            assert!(values.insert(name.to_owned(), value).is_none(), "{name} twice");
        });
        values
    }

    #[test]
    fn each_namespace_has_its_own_summary_in_sorted_order() {
        let namespaces = Namespaces::default();
        for (name, value) in [("b", 7), ("a", 1), ("b", 3)] {
            namespaces.add(name.as_bytes(), value);
        }
        let mut shown = Vec::new();
        namespaces.dump("x", &mut |name, value| shown.push((name.to_owned(), value)));
        let of = |name: &str, [mean, min, max, count, sum]: [i32; 5]| {
            let whole = |label: &str, value: i32| (format!("{label}_{name}_x"), Value::Integer(value.into()));
            let mean = (format!("avg_{name}_x"), Value::Decimal(mean.into()));
            [mean, whole("min", min), whole("max", max), whole("cnt", count), whole("sum", sum)]
        };
        assert_eq!(shown, [of("a", [1, 1, 1, 1, 1]), of("b", [5, 3, 7, 2, 10])].concat());
        namespaces.reset();
        assert_eq!(values(&namespaces)["cnt_b_x"], Value::Integer(0), "the name stays");
    }

    #[test]
    fn beyond_the_limit_all_others_are_one() {
        let namespaces = Namespaces::default();
        for number in 0..NAMESPACES_MAX {
            namespaces.add(format!("n{number}").as_bytes(), 1);
        }
        for number in [NAMESPACES_MAX, NAMESPACES_MAX + 1, 5] {
            namespaces.add(format!("n{number}").as_bytes(), 2);
        }
        let shown = values(&namespaces);
        assert_eq!(shown.len(), 5 * (NAMESPACES_MAX + 1));
        assert_eq!((shown["cnt_/_x"], shown["sum_/_x"]), (Value::Integer(2), Value::Integer(4)));
        assert_eq!(shown["sum_n5_x"], Value::Integer(3), "who is there has a name still");
        assert!(!shown.contains_key("cnt_n1024_x"));
    }

    #[test]
    fn threads_that_meet_at_first_values_lose_none() {
        let namespaces = Namespaces::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..4000).for_each(|number| namespaces.add(format!("n{}", number % 500).as_bytes(), 1))
                });
            }
        });
        let shown = values(&namespaces);
        let sums: Vec<Value> =
            shown.iter().filter(|(name, _)| name.starts_with("sum_")).map(|(_, value)| *value).collect();
        assert_eq!(sums, [Value::Integer(32); 500]);
    }

    #[test]
    fn what_another_one_holds_is_added() {
        let (namespaces, other) = (Namespaces::default(), Namespaces::default());
        namespaces.add(b"a", 4);
        other.add(b"a", 9);
        other.add(b"a", 2);
        other.add(b"b", 5);
        namespaces.absorb(&other);
        let shown = values(&namespaces);
        let of = |name: &str| ["min", "max", "cnt", "sum"].map(|label| shown[&format!("{label}_{name}_x")]);
        assert_eq!(of("a"), [2, 9, 3, 15].map(Value::Integer));
        assert_eq!(of("b"), [5, 5, 1, 5].map(Value::Integer));
        namespaces.absorb(&Namespaces::default());
        assert_eq!(values(&namespaces), shown);
    }
}
