//! Several writes as one: all of them or none.

use oxherd_proto::{ErrorCode, MultiOp, OpCode, SubTxn, TxnRecord, decode_multi};

use super::create::Asked;
use super::{PrepareContext, WriteRequest};
use crate::overlay::Overlay;

impl Overlay {
    /// Each operation sees what those before it did. One failure takes all of it back: the txn then holds
    /// an error for each operation from the failed one on, and nothing of it is carried out at apply.
    // Java: PrepRequestProcessor.pRequestHelper, multi
    pub(super) fn multi(
        &mut self,
        ctx: &PrepareContext<'_>,
        request: &WriteRequest,
    ) -> Result<TxnRecord, ErrorCode> {
        let ops = decode_multi(request.body.clone()).map_err(|_| ErrorCode::MarshallingError)?;
        let mut subs = Vec::with_capacity(ops.len());
        let mut failed = false;
        self.begin_multi();
        for op in ops {
            subs.push(if failed {
                error_of(ErrorCode::RuntimeInconsistency)
            } else {
                let kind = op.op().code();
                match self.sub(ctx, request, op) {
                    Ok(record) => SubTxn { kind, record },
                    Err(code) => {
                        failed = true;
                        error_of(code)
                    }
                }
            });
        }
        if failed {
            self.roll_back_multi();
        } else {
            self.keep_multi();
        }
        Ok(TxnRecord::Multi(subs))
    }

    fn sub(
        &mut self,
        ctx: &PrepareContext<'_>,
        request: &WriteRequest,
        op: MultiOp,
    ) -> Result<TxnRecord, ErrorCode> {
        match op {
            MultiOp::Create(op, asked) => self.create(ctx, request, Asked::plain(op, asked)),
            MultiOp::CreateTtl(asked) => self.create(ctx, request, Asked::with_ttl(asked)),
            MultiOp::Delete(asked) => self.delete(ctx, request, asked),
            MultiOp::SetData(asked) => self.set_data(ctx, request, asked),
            MultiOp::Check(asked) => self.check(ctx, request, asked),
            MultiOp::GetData(_) | MultiOp::GetChildren(_) => Err(ErrorCode::MarshallingError),
        }
    }
}

fn error_of(code: ErrorCode) -> SubTxn {
    SubTxn { kind: OpCode::Error.code(), record: TxnRecord::Error(code) }
}
