use std::fs;

use proptest::prelude::*;

use crate::disk::{Disk, DiskFile};
use crate::os_disk::OsDisk;

use super::CHUNK;

#[derive(Clone, Debug)]
enum Step {
    /// Behind what was written, some of its last bytes once more.
    Write {
        back: usize,
        len: usize,
        byte: u8,
    },
    /// As a log does it: the position does not move past the zeros.
    WriteWithZeros {
        len: usize,
        zeros: usize,
        byte: u8,
    },
    Cut {
        back: usize,
    },
    Allocate {
        more: usize,
    },
    Sync,
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![1_usize..100, 1_usize..20_000, Just(4096_usize), Just(CHUNK + 5)];
    prop_oneof![
        4 => (0_usize..300, len.clone(), 1_u8..).prop_map(|(back, len, byte)| Step::Write { back, len, byte }),
        2 => (len, 0_usize..9000, 1_u8..)
            .prop_map(|(len, zeros, byte)| Step::WriteWithZeros { len, zeros, byte }),
        1 => (0_usize..5000).prop_map(|back| Step::Cut { back }),
        1 => (0_usize..20_000).prop_map(|more| Step::Allocate { more }),
        1 => Just(Step::Sync),
    ]
}

/// What a file holds, the plain way.
#[derive(Default)]
struct Model {
    bytes: Vec<u8>,
    position: usize,
}

impl Model {
    fn put(&mut self, bytes: &[u8], at: usize) {
        let end = at + bytes.len();
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[at..end].copy_from_slice(bytes);
    }

    fn take(&mut self, step: &Step, file: &mut impl DiskFile) {
        match step {
            Step::Write { back, len, byte } => {
                let back = self.position.min(*back);
                self.write(&vec![*byte; back + len], self.position - back, file);
                self.position += len;
            }
            Step::WriteWithZeros { len, zeros, byte } => {
                let mut bytes = vec![*byte; *len];
                bytes.resize(len + zeros, 0);
                self.write(&bytes, self.position, file);
                self.position += len;
            }
            Step::Cut { back } => {
                self.position = self.position.saturating_sub(*back);
                self.bytes.truncate(self.position);
                file.set_len(self.position as u64).unwrap();
            }
            Step::Allocate { more } => {
                let len = self.bytes.len() + more + 1;
                self.bytes.resize(len, 0);
                file.allocate(len as u64).unwrap();
            }
            Step::Sync => file.sync().unwrap(),
        }
        assert_eq!(file.len().unwrap(), self.bytes.len() as u64);
    }

    fn write(&mut self, bytes: &[u8], at: usize, file: &mut impl DiskFile) {
        self.put(bytes, at);
        file.write_at(bytes, at as u64).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_stream_holds_what_was_written(steps in prop::collection::vec(step(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stream");
        let mut file = OsDisk.create_stream(&path).unwrap();
        let mut model = Model::default();
        for step in &steps {
            model.take(step, &mut file);
        }
        file.sync().unwrap();
        prop_assert!(fs::read(&path).unwrap() == model.bytes, "after {steps:?}");
    }
}

#[test]
fn what_fills_the_last_block_is_gone_after_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stream");
    let mut file = OsDisk.create_stream(&path).unwrap();
    file.write_at(b"few bytes", 0).unwrap();
    assert_eq!(file.len().unwrap(), 9);
    file.sync().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"few bytes");
}
