//! ACLs: each list stored once; who may do what.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::quality::FixedState;
use hashbrown::HashTable;
use oxherd_proto::{Acl, Id, Str};

/// A shared list of permissions.
pub type AclList = Arc<[Acl]>;

/// Place of the open list, which is never written to a snapshot.
pub(crate) const OPEN: u32 = 0;
const OPEN_ID: i64 = -1;

/// The list that lets everyone do everything.
pub fn open_acl() -> AclList {
    [Acl { perms: 31, id: Id { scheme: Str::from_static("world"), id: Str::from_static("anyone") } }].into()
}

/// For an id that a snapshot names but does not define: the log after it does. Until then, nobody.
fn nobody() -> AclList {
    [Acl::default()].into()
}

/// Every list that a node has, once, with the number of its nodes and the id it has in snapshots.
// Java: ReferenceCountedACLCache
#[derive(Debug)]
pub(crate) struct AclTable {
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_list: HashTable<u32>,
    hasher: FixedState,
    last_id: i64,
}

#[derive(Debug)]
struct Entry {
    list: AclList,
    id: i64,
    nodes: usize,
    /// False for a list that stands in for one a snapshot did not define.
    defined: bool,
}

impl AclTable {
    pub(crate) fn new(seed: u64) -> Self {
        let open = Entry { list: open_acl(), id: OPEN_ID, nodes: 0, defined: true };
        Self {
            slots: vec![Some(open)],
            free: Vec::new(),
            by_list: HashTable::new(),
            hasher: FixedState::with_seed(seed),
            last_id: 0,
        }
    }

    fn entry(&self, slot: u32) -> &Entry {
        self.slots[slot as usize].as_ref().expect("a node's list stays while the node does")
    }

    pub(crate) fn list(&self, slot: u32) -> &AclList {
        &self.entry(slot).list
    }

    pub(crate) fn id(&self, slot: u32) -> i64 {
        self.entry(slot).id
    }

    pub(crate) fn len(&self) -> usize {
        self.by_list.len()
    }

    /// The lists that a snapshot defines, by id.
    pub(crate) fn defined(&self) -> Vec<(i64, AclList)> {
        let mut lists: Vec<_> = self.slots[1..]
            .iter()
            .flatten()
            .filter(|entry| entry.defined)
            .map(|entry| (entry.id, entry.list.clone()))
            .collect();
        lists.sort_by_key(|(id, _)| *id);
        lists
    }

    /// The place of `list` for one more node; an empty list is the open one.
    pub(crate) fn intern(&mut self, list: &[Acl]) -> u32 {
        if list.is_empty() {
            return OPEN;
        }
        let hash = hash(&self.hasher, list);
        let known = self.by_list.find(hash, |slot| **self.list(*slot) == *list).copied();
        let slot = known.unwrap_or_else(|| {
            self.last_id += 1;
            self.define(self.last_id, list.into())
        });
        self.retain(slot);
        slot
    }

    pub(crate) fn retain(&mut self, slot: u32) {
        if let Some(entry) = self.slots[slot as usize].as_mut() {
            entry.nodes += 1;
        }
    }

    /// One node less has the list; the last one takes it along.
    pub(crate) fn release(&mut self, slot: u32) {
        let Some(entry) = self.slots[slot as usize].as_mut().filter(|_| slot != OPEN) else { return };
        entry.nodes = entry.nodes.saturating_sub(1);
        if entry.nodes == 0 {
            self.forget(slot);
        }
    }

    fn forget(&mut self, slot: u32) {
        let hash = hash(&self.hasher, self.list(slot));
        if let Ok(found) = self.by_list.find_entry(hash, |other| *other == slot) {
            found.remove();
        }
        self.slots[slot as usize] = None;
        self.free.push(slot);
    }

    /// Adds a list of a snapshot under its id, with no node yet.
    pub(crate) fn define(&mut self, id: i64, list: AclList) -> u32 {
        self.last_id = self.last_id.max(id);
        let hash = hash(&self.hasher, &list);
        let slot = self.take_slot(Entry { list, id, nodes: 0, defined: true });
        let Self { by_list, slots, hasher, .. } = self;
        by_list.insert_unique(hash, slot, |slot| {
            let entry = slots[*slot as usize].as_ref().expect("the index holds live entries");
            self::hash(hasher, &entry.list)
        });
        slot
    }

    /// A stand-in for an id that the snapshot did not define; the id is never given to another list.
    pub(crate) fn stand_in(&mut self, id: i64) -> u32 {
        self.last_id = self.last_id.max(id);
        self.take_slot(Entry { list: nobody(), id, nodes: 0, defined: false })
    }

    fn take_slot(&mut self, entry: Entry) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(entry);
            return slot;
        }
        self.slots.push(Some(entry));
        u32::try_from(self.slots.len() - 1).expect("there are fewer lists than nodes")
    }

    /// Drops what no node has, after a load.
    pub(crate) fn purge_unused(&mut self) {
        for slot in 1..self.slots.len() {
            if self.slots[slot].as_ref().is_some_and(|entry| entry.nodes == 0) {
                self.forget(u32::try_from(slot).expect("there are fewer lists than nodes"));
            }
        }
    }
}

fn hash(hasher: &FixedState, list: &[Acl]) -> u64 {
    let mut hasher = hasher.build_hasher();
    for acl in list {
        acl.perms.hash(&mut hasher);
        acl.id.scheme.hash(&mut hasher);
        acl.id.id.hash(&mut hasher);
    }
    hasher.finish()
}

/// Whether a connection with `ids` has one of the permissions `perms` under `acl`.
///
/// An empty list allows everything, and so does an id of the scheme `super`.
// Java: ZooKeeperServer.checkACL
pub fn permits(acl: &[Acl], perms: i32, ids: &[Id]) -> bool {
    acl.is_empty()
        || acl.iter().any(|entry| entry.perms & perms != 0 && is_anyone(&entry.id))
        || ids.iter().any(|id| id.scheme.as_bytes() == b"super")
        || acl.iter().any(|entry| entry.perms & perms != 0 && ids.iter().any(|id| matches(id, &entry.id)))
}

fn is_anyone(id: &Id) -> bool {
    id.scheme.as_bytes() == b"world" && id.id.as_bytes() == b"anyone"
}

// Java: the `matches` of each authentication provider
fn matches(client: &Id, wanted: &Id) -> bool {
    client.scheme == wanted.scheme
        && match client.scheme.as_bytes() {
            b"ip" => ip_matches(&client.id, &wanted.id),
            b"sasl" => client.id.as_bytes() == b"super" || client.id == wanted.id,
            _ => client.id == wanted.id,
        }
}

// Java: IPAuthenticationProvider.matches
fn ip_matches(client: &[u8], expression: &[u8]) -> bool {
    let (Some((net, bits)), Some(address)) = (parse_net(expression), parse_address(client)) else {
        return false;
    };
    net.len == address.len && net.masked(bits) == address.masked(bits)
}

/// Whether `id` may stand in an ACL of the scheme `ip`: an address, or an address and `/bits`.
// Java: IPAuthenticationProvider.isValid
pub fn ip_acl_is_valid(id: &[u8]) -> bool {
    parse_net(id).is_some()
}

#[derive(Clone, Copy)]
struct Address {
    bytes: u128,
    /// 32 or 128 bits.
    len: u32,
}

impl Address {
    fn masked(self, bits: u32) -> u128 {
        self.bytes.checked_shr(self.len - bits).unwrap_or(0)
    }
}

fn parse_net(expression: &[u8]) -> Option<(Address, u32)> {
    let text = str::from_utf8(expression).ok()?;
    let Some((address, bits)) = text.split_once('/') else {
        let address = parse_address(expression)?;
        return Some((address, address.len));
    };
    let address = parse_address(address.as_bytes())?;
    let bits = u32::try_from(bits.parse::<i32>().ok()?).ok()?;
    (bits <= address.len).then_some((address, bits))
}

fn parse_address(address: &[u8]) -> Option<Address> {
    let text = str::from_utf8(address).ok()?;
    if text.contains(':') { parse_v6(text) } else { parse_v4(text) }
}

fn parse_v4(text: &str) -> Option<Address> {
    let parts: Vec<u8> =
        text.split('.').map(|part| u8::try_from(part.parse::<i32>().ok()?).ok()).collect::<Option<_>>()?;
    let parts = <[u8; 4]>::try_from(parts).ok()?;
    Some(Address { bytes: u128::from(u32::from_be_bytes(parts)), len: 32 })
}

/// At most one `::`, standing for one group or more; no scope, no embedded dotted quad.
fn parse_v6(text: &str) -> Option<Address> {
    let (front, back) = match text.split_once("::") {
        None => (parse_groups(text)?, None),
        Some((front, back)) => (parse_groups(front)?, Some(parse_groups(back)?)),
    };
    let back_len = back.as_ref().map_or(0, Vec::len);
    let fits = if back.is_some() { front.len() + back_len < 8 } else { front.len() == 8 };
    let back = back.unwrap_or_default();
    let mut groups = [0; 8];
    groups.get_mut(..front.len()).filter(|_| fits)?.copy_from_slice(&front);
    groups[8 - back_len..].copy_from_slice(&back);
    let bytes = groups.iter().fold(0, |bytes, group| (bytes << 16) | u128::from(*group));
    Some(Address { bytes, len: 128 })
}

fn parse_groups(text: &str) -> Option<Vec<u16>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(':')
        .map(|group| {
            let sound = !group.is_empty() && group.len() <= 4;
            u16::from_str_radix(group, 16).ok().filter(|_| sound)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(scheme: &str, id: &str) -> Id {
        Id { scheme: scheme.into(), id: id.into() }
    }

    fn acl(perms: i32, scheme: &str, name: &str) -> Acl {
        Acl { perms, id: id(scheme, name) }
    }

    #[test]
    fn an_address_matches_its_net_and_no_other() {
        let cases = [
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.1.2.3", "10.1.0.0/16", true),
            ("10.2.2.3", "10.1.0.0/16", false),
            ("10.2.2.3", "0.0.0.0/0", true),
            ("10.1.2.3", "10.1.2.0/33", false),
            ("10.1.2.3", "10.1.2.0/-1", false),
            ("10.1.2.3", "10.1.2", false),
            ("10.1.2.3", "10.1.2.256", false),
            ("10.1.2.3", "::/0", false),
            ("0:0:0:0:0:0:0:1", "::1", true),
            ("2001:db8:0:0:0:0:0:7", "2001:db8::/32", true),
            ("2001:db9:0:0:0:0:0:7", "2001:db8::/32", false),
            ("2001:db9:0:0:0:0:0:7", "::/0", true),
            ("2001:db8:0:0:0:0:0:7", "2001:db8::/129", false),
            ("2001:db8:0:0:0:0:0:7", "2001:db8:0:0:0:0:0:0::", false),
            ("fe80:0:0:0:0:0:0:1%eth0", "fe80::/10", false),
        ];
        for (client, expression, expected) in cases {
            assert_eq!(
                ip_matches(client.as_bytes(), expression.as_bytes()),
                expected,
                "{client} {expression}"
            );
        }
    }

    #[test]
    fn which_ip_acls_are_valid() {
        for good in ["1.2.3.4", "1.2.3.4/0", "1.2.3.4/32", "::", "::1/128", "1::", "1:2:3:4:5:6:7:8"] {
            assert!(ip_acl_is_valid(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "localhost",
            "1.2.3",
            "1.2.3.4/",
            "1.2.3.4/33",
            ":::",
            "1::2::3",
            "12345::",
            "1:2:3:4:5:6:7::8",
        ] {
            assert!(!ip_acl_is_valid(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn permissions_are_any_of_the_entries() {
        let me = [id("ip", "10.0.0.1"), id("digest", "me:secret")];
        assert!(permits(&[], 1, &[]), "an empty list is open");
        assert!(permits(&open_acl(), 16, &[]));
        assert!(permits(&[acl(1, "digest", "me:secret")], 1, &me));
        assert!(permits(&[acl(1, "digest", "me:secret")], 1 | 16, &me), "one bit is enough");
        assert!(!permits(&[acl(1, "digest", "me:secret")], 2, &me));
        assert!(!permits(&[acl(31, "digest", "you:secret")], 1, &me));
        assert!(!permits(&[acl(31, "world", "me")], 1, &me));
        assert!(permits(&[acl(31, "digest", "you:secret")], 1, &[id("super", "")]));
        assert!(permits(&[acl(31, "sasl", "you")], 1, &[id("sasl", "super")]));
    }

    #[test]
    fn a_list_lives_as_long_as_its_nodes_and_ids_only_grow() {
        let mut table = AclTable::new(1);
        let first = table.intern(&[acl(1, "world", "anyone")]);
        assert_eq!(table.intern(&[acl(1, "world", "anyone")]), first);
        assert_eq!(table.id(first), 1);
        table.release(first);
        assert_eq!(table.len(), 1);
        table.release(first);
        assert_eq!(table.len(), 0);
        let again = table.intern(&[acl(1, "world", "anyone")]);
        assert_eq!(table.id(again), 2);
        assert_eq!(table.intern(&[]), OPEN);
        table.stand_in(9);
        let next = table.intern(&[acl(2, "world", "anyone")]);
        assert_eq!(table.id(next), 10, "an undefined id is not given away");
    }
}
