//! Convergence: once everything is healed, all members serve, and end with the same tree.

use oxherd_proto::{ServerId, Zxid};

use crate::verdict::{Breach, Check, demand};

/// The servers are busy with each other and never done.
pub fn runs_hot(events: u64) -> Breach {
    Breach::new("Convergence", format!("the servers run hot: {events} events"))
}

/// The time for it is over, and not all members serve all clients. With what each of them is doing.
pub fn never_served(roles: &[(ServerId, String)]) -> Breach {
    let roles: Vec<String> = roles.iter().map(|(id, role)| format!("s{id} {role}")).collect();
    Breach::new("Convergence", format!("healed servers do not serve all clients: {}", roles.join(", ")))
}

/// Where each member ends, and with which digest; `None` for one that does not run.
pub fn same_end(ends: &[Option<(Zxid, u64)>]) -> Check {
    let first = ends.first().copied().flatten();
    demand(first.is_some() && ends.iter().all(|end| *end == first), "Convergence", || {
        "healed servers end with different trees".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_end_another_digest_and_no_end_are_found() {
        let end = Some((Zxid(4), 17));
        assert!(same_end(&[end, end, end]).is_ok());
        assert!(same_end(&[end, Some((Zxid(5), 17))]).is_err());
        assert!(same_end(&[end, Some((Zxid(4), 18))]).is_err());
        assert!(same_end(&[end, None]).is_err());
        assert!(same_end(&[None, None]).is_err());
    }
}
