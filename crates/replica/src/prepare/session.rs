//! The beginning and the end of a session.

use oxherd_proto::{CloseSessionTxn, ErrorCode, SessionId, TxnRecord};

use super::{PrepareContext, WriteRequest, decode, parent_of};
use crate::overlay::Overlay;

impl Overlay {
    pub(super) fn create_session(request: &WriteRequest) -> Result<TxnRecord, ErrorCode> {
        Ok(TxnRecord::CreateSession(decode(request)?))
    }

    /// Removes every ephemeral node the session has or is about to have.
    ///
    /// The session is not checked, for expiry sends this too. From here on the caller takes the session
    /// for closing, so that nothing can be added to it. Unlike in the original the parents' child counts
    /// sink at once, so that a delete right behind sees them empty.
    pub(super) fn close_session(&mut self, ctx: &PrepareContext<'_>, session: SessionId) -> TxnRecord {
        let paths = self.ephemerals(ctx.tree, session);
        for path in &paths {
            let parent_path = parent_of(path).expect("a node's path holds a slash and no NUL");
            if let Ok(parent) = self.find(ctx.tree, &parent_path) {
                self.drop_child(ctx, &parent_path, parent);
            }
            if let Ok(node) = self.find(ctx.tree, path) {
                self.remove(ctx, &path.clone().into_bytes(), &node);
            }
        }
        let listed = || CloseSessionTxn { paths_to_delete: paths.into_iter().collect() };
        TxnRecord::CloseSession(ctx.options.close_session_paths.then(listed))
    }
}
