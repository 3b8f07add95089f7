//! A change of who belongs to the ensemble.

use bytes::Bytes;
use oxherd_proto::{ErrorCode, Jute as _, OpCode, ReconfigRequest, ServerId, SetDataTxn, Str, TxnRecord};
use oxherd_zab::{ConfigError, EnsembleConfig, Member, Peer, PeerAddress};

use super::{PrepareContext, WriteRequest};
use crate::auth::perms;
use crate::commit::CONFIG_PATH;
use crate::overlay::Overlay;

/// Who belongs to the ensemble, as the leader that prepares a change has to know it.
pub(crate) trait Membership {
    /// The configuration in force.
    fn active(&self) -> &EnsembleConfig;
    /// The last one proposed; the one in force when no change is under way.
    fn newest(&self) -> &EnsembleConfig;
    /// Whether this server may lead next.
    fn may_lead(&self, server: ServerId) -> bool;
    /// Whether a quorum of this configuration is up with the leader.
    fn is_synced(&self, config: &EnsembleConfig) -> bool;
}

impl Membership for Peer {
    fn active(&self) -> &EnsembleConfig {
        self.ensemble()
    }

    fn newest(&self) -> &EnsembleConfig {
        self.ensemble_seen()
    }

    fn may_lead(&self, server: ServerId) -> bool {
        self.may_hand_over_to(server)
    }

    fn is_synced(&self, config: &EnsembleConfig) -> bool {
        config.is_quorum(&self.synced_with(config))
    }
}

/// The members' text of a request to hand over: `leader=N`.
const LEADER: &str = "leader=";

/// Whom a request wants to lead; `None` for every other request. Servers that do not know it refuse it
/// as a membership that makes no sense.
pub(crate) fn wanted_leader(request: &WriteRequest) -> Option<ServerId> {
    if request.op != OpCode::Reconfig {
        return None;
    }
    let asked = ReconfigRequest::from_bytes(request.body.clone()).ok()?;
    let members = asked.new_members?.to_text().into_owned();
    members.strip_prefix(LEADER)?.trim().parse().ok().map(ServerId)
}

impl Overlay {
    /// Who may change the ensemble may say who leads it, also where changes are not enabled.
    pub(crate) fn check_hand_over(
        &self,
        ctx: &PrepareContext<'_>,
        request: &WriteRequest,
        to: ServerId,
    ) -> Result<(), ErrorCode> {
        ctx.sessions.check(request.session)?;
        let membership = ctx.membership.ok_or(ErrorCode::Unimplemented)?;
        if membership.newest().version != membership.active().version {
            return Err(ErrorCode::ReconfigInProgress);
        }
        if !membership.active().is_voter(to) {
            return Err(ErrorCode::BadArguments);
        }
        if !membership.may_lead(to) {
            return Err(ErrorCode::NewConfigNoQuorum);
        }
        let node = self.find(ctx.tree, CONFIG_PATH)?;
        ctx.check_permission(&node.acl, perms::WRITE, request)
    }

    /// The permission is checked last.
    // Java: PrepRequestProcessor.pRequest2Txn
    pub(super) fn reconfig(
        &mut self,
        ctx: &PrepareContext<'_>,
        request: &WriteRequest,
        asked: &ReconfigRequest,
    ) -> Result<TxnRecord, ErrorCode> {
        if !ctx.options.reconfig {
            return Err(ErrorCode::ReconfigDisabled);
        }
        ctx.sessions.check(request.session)?;
        let membership = ctx.membership.ok_or(ErrorCode::Unimplemented)?;
        let newest = membership.newest();
        if newest.version != membership.active().version {
            return Err(ErrorCode::ReconfigInProgress);
        }
        if asked.cur_config_id != -1 && asked.cur_config_id != newest.version {
            return Err(ErrorCode::BadVersion);
        }
        let mut config = ctx.next_config(newest, asked)?;
        config.version = ctx.zxid.0;
        let voters = config.voters().count();
        if voters < if ctx.options.standalone_enabled { 2 } else { 1 } {
            return Err(ErrorCode::BadArguments);
        }
        if !membership.is_synced(&config) {
            return Err(ErrorCode::NewConfigNoQuorum);
        }
        self.set_config(ctx, request, Bytes::from(config.to_string()))
    }

    fn set_config(
        &mut self,
        ctx: &PrepareContext<'_>,
        request: &WriteRequest,
        text: Bytes,
    ) -> Result<TxnRecord, ErrorCode> {
        let mut node = self.find(ctx.tree, CONFIG_PATH)?;
        ctx.check_permission(&node.acl, perms::WRITE, request)?;
        node.stat.version = -1;
        node.stat.mtime = ctx.unix_ms;
        node.stat.mzxid = ctx.zxid;
        node.data_len = text.len();
        self.put(ctx, &Bytes::from_static(CONFIG_PATH), node);
        let path = Str::from_bytes(Bytes::from_static(CONFIG_PATH));
        Ok(TxnRecord::SetData(SetDataTxn { path, data: Some(text), version: -1 }))
    }
}

impl PrepareContext<'_> {
    fn next_config(
        &self,
        newest: &EnsembleConfig,
        asked: &ReconfigRequest,
    ) -> Result<EnsembleConfig, ErrorCode> {
        match &asked.new_members {
            Some(members) => self.replaced(&members.to_text()),
            None => self.extended(newest, asked),
        }
    }

    /// The whole membership anew, separated by commas or line ends.
    // Java: QuorumPeerConfig.parseDynamicConfig
    fn replaced(&self, members: &str) -> Result<EnsembleConfig, ErrorCode> {
        let config = match EnsembleConfig::parse(&members.replace(',', "\n")) {
            Ok(config) => config,
            // What is not a number ends in a general error there.
            Err(ConfigError::Number { .. }) => return Err(ErrorCode::MarshallingError),
            Err(ConfigError::NoVoters)
                if !self.options.standalone_enabled || members.contains("observer") =>
            {
                return Err(ErrorCode::MarshallingError);
            }
            Err(_) => return Err(ErrorCode::BadArguments),
        };
        let is_alone = self.options.standalone_enabled && config.voters().count() == 1;
        if is_alone && config.members.len() > 1 {
            return Err(ErrorCode::MarshallingError);
        }
        match config.members.values().find(|member| !self.may_have(member)) {
            Some(_) => Err(ErrorCode::BadArguments),
            None => Ok(config),
        }
    }

    /// Some leave, then some join or change; only where the majority decides.
    fn extended(
        &self,
        newest: &EnsembleConfig,
        asked: &ReconfigRequest,
    ) -> Result<EnsembleConfig, ErrorCode> {
        if !newest.groups.is_empty() || !newest.weights.is_empty() {
            return Err(ErrorCode::BadArguments);
        }
        let mut config = newest.clone();
        for leaving in items(asked.leaving_servers.as_ref()) {
            config.members.remove(&server_id(&leaving)?);
        }
        for joining in items(asked.joining_servers.as_ref()) {
            let parts: Vec<&str> =
                joining.split('=').map(str::trim).filter(|part| !part.is_empty()).collect();
            let [name, place] = parts[..] else { return Err(ErrorCode::BadArguments) };
            let server = server_id(name.rsplit('.').next().unwrap_or(name))?;
            let member = self.joiner(place).ok_or(ErrorCode::BadArguments)?;
            let mut others = config.members.iter().filter(|(other, _)| **other != server);
            if others.any(|(_, other)| shares_address(&member, other)) {
                return Err(ErrorCode::BadArguments);
            }
            config.members.insert(server, member);
        }
        Ok(config)
    }

    /// A joiner says where clients go.
    fn joiner(&self, place: &str) -> Option<Member> {
        let member = Member::parse(place)?;
        (place.matches(';').count() == 1 && member.client.is_some() && self.may_have(&member))
            .then_some(member)
    }

    fn may_have(&self, member: &Member) -> bool {
        self.options.multi_address || member.addresses.len() == 1
    }
}

// Java: StringUtils.split
fn items(list: Option<&Str>) -> Vec<String> {
    let text = list.map(|list| list.to_text().into_owned()).unwrap_or_default();
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn server_id(text: &str) -> Result<ServerId, ErrorCode> {
    text.parse().map(ServerId).map_err(|_| ErrorCode::MarshallingError)
}

/// Names are compared as they are written: nothing is looked up here.
// Java: QuorumPeer.QuorumServer.checkAddressDuplicate
fn shares_address(one: &Member, other: &Member) -> bool {
    let others = ends(other);
    ends(one).iter().any(|end| others.contains(end))
}

/// Every host and port of a server that belongs to one machine alone.
fn ends(member: &Member) -> Vec<(&str, u16)> {
    let peers = member.addresses.iter().flat_map(|address| {
        let PeerAddress { host, peer_port, election_port } = address;
        [(host.as_str(), *peer_port), (host.as_str(), *election_port)]
    });
    let client = member.client.iter().map(|(host, port)| (host.as_str(), *port));
    peers.chain(client).filter(|(host, _)| !is_local(host)).collect()
}

fn is_local(host: &str) -> bool {
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback() || address.is_unspecified())
}
