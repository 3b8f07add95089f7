//! What a node's owner field says about its kind.

use oxherd_proto::{ErrorCode, SessionId};

use super::PrepareOptions;

const EXTENDED: i64 = 0xff << 56;
const RESERVED: i64 = 0xffff << 40;

/// Whether the node goes with a session, by the owner in its metadata.
///
/// With extended types on, an owner of an unknown type is an error, as the original has it.
// Java: EphemeralType.get
pub(super) fn is_session(owner: SessionId, options: &PrepareOptions) -> Result<bool, ErrorCode> {
    if owner == SessionId(0) {
        return Ok(false);
    }
    if options.extended_types {
        if options.emulate_353_ttl && owner.0 < 0 && owner != SessionId::CONTAINER {
            return Ok(false);
        }
        if owner.0 & EXTENDED == EXTENDED {
            return if owner.0 & RESERVED == 0 { Ok(false) } else { Err(ErrorCode::MarshallingError) };
        }
    }
    Ok(owner != SessionId::CONTAINER)
}
