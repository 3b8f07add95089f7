-------------------------------- MODULE Zab --------------------------------
(* Agreement as the servers of an ensemble carry it out: election, discovery, synchronization, broadcast,   *)
(* crash and restart. Writing a txn, writing an epoch and saying so are steps of their own: whatever a server *)
(* gives to its disk waits in a queue, and a crash keeps some first part of that queue.                       *)
(*                                                                                                          *)
(* Left out: reconfiguration, observers, sessions, pings, and when a server gives up (it may at any moment). *)
EXTENDS Integers, Sequences, FiniteSets

CONSTANT Server   \* numbers; a higher one wins between equal votes

VARIABLES
    disk,     \* by server, what is durable: the log, the accepted and the current epoch
    queue,    \* by server, what the disk was given and has not answered
    srv,      \* by server, what its memory holds
    links,    \* connections of learners to leaders, by number; packets under way are in order
    cast,     \* votes that were told: <<voter, leader, epoch, zxid>>
    agreed,   \* the longest history that any server has shown to clients
    heads     \* leaders that were established: <<epoch, server>>

vars == <<disk, queue, srv, links, cast, agreed, heads>>

----------------------------------------------------------------------------
\* Zxids and logs

Zero == <<0, 0>>
\* What a server tells of its history when it does not know whether it has one.
Unknown == <<0 - 1, 0 - 1>>
Lt(a, b) == a[1] < b[1] \/ (a[1] = b[1] /\ a[2] < b[2])
Leq(a, b) == a = b \/ Lt(a, b)
Max(a, b) == IF a > b THEN a ELSE b

LastOf(log) == IF log = <<>> THEN Zero ELSE log[Len(log)]
IsPrefix(a, b) == Len(a) <= Len(b) /\ SubSeq(b, 1, Len(a)) = a

\* The next txn of the epoch, or the first one of a later epoch.
MayFollow(a, b) == b = <<a[1], a[2] + 1>> \/ (b[1] > a[1] /\ b[2] = 1)

RECURSIVE SeekDown(_, _, _)
SeekDown(log, z, k) ==
    IF k = 0 THEN 0 ELSE IF log[k] = z THEN k ELSE IF Lt(log[k], z) THEN 0 ELSE SeekDown(log, z, k - 1)
\* Where a txn is in a log; 0 when it is not there.
Place(log, z) == SeekDown(log, z, Len(log))

RECURSIVE CountDown(_, _, _)
CountDown(log, z, k) == IF k = 0 THEN 0 ELSE IF Leq(log[k], z) THEN k ELSE CountDown(log, z, k - 1)
\* How many txns of a log are not after z.
Upto(log, z) == CountDown(log, z, Len(log))

IsQuorum(S) == 2 * Cardinality(S) > Cardinality(Server)

----------------------------------------------------------------------------
\* The disk

Command(kind, z, log) == [k |-> kind, z |-> z, log |-> log]

Apply(d, q) ==
    CASE q.k = "APPEND"   -> [d EXCEPT !.log = Append(@, q.z)]
      [] q.k = "ACCEPTED" -> [d EXCEPT !.acc = q.z[1]]
      [] q.k = "CURRENT"  -> [d EXCEPT !.cur = q.z[1]]
      [] q.k = "CUT"      -> [d EXCEPT !.log = SubSeq(@, 1, Upto(@, q.z))]
      [] q.k = "INSTALL"  -> [d EXCEPT !.log = q.log]

RECURSIVE ApplyFirst(_, _, _)
ApplyFirst(d, q, n) == IF n = 0 THEN d ELSE ApplyFirst(Apply(d, Head(q)), Tail(q), n - 1)

Give(i, kind, z, log) == queue' = [queue EXCEPT ![i] = Append(@, Command(kind, z, log))]

----------------------------------------------------------------------------
\* Memory. `log` is everything given to the disk, `pend` what is known behind it, `known` how many txns of both
\* are committed, `shown` how many clients can see, `acks` how many need no ACK any more; `blank`: it gave up its vote.

Dead == [role |-> "down", stage |-> "", with |-> 0, ep |-> 0, link |-> 0, log |-> <<>>, pend |-> <<>>,
         known |-> 0, mark |-> 0, shown |-> 0, acks |-> 0, heard |-> 0, again |-> FALSE, owes |-> FALSE, tree |-> <<>>,
         callers |-> {}, backers |-> {}, blank |-> FALSE]

Looking(s) == [s EXCEPT !.role = "looking", !.stage = "", !.with = 0, !.ep = 0, !.link = 0, !.pend = <<>>,
                        !.known = 0, !.mark = 0, !.acks = 0, !.again = FALSE, !.owes = FALSE, !.tree = <<>>,
                        !.callers = {}, !.backers = {}]

Leads(i, stages) == srv[i].role = "leading" /\ srv[i].stage \in stages
Learns(i, l, stages) == srv[i].role = "following" /\ srv[i].link = l /\ srv[i].stage \in stages

Total(s) == Len(s.log) + Len(s.pend)
Entry(s, k) == IF k <= Len(s.log) THEN s.log[k] ELSE s.pend[k - Len(s.log)]
End(s) == IF s.pend = <<>> THEN LastOf(s.log) ELSE LastOf(s.pend)

----------------------------------------------------------------------------
\* Links. The learner's end is `from`, the leader's is `to`; `st` is how far the learner is in its leader's books:
\* new, called, told (the epoch), acked (it), first (DIFF, TRUNC or SNAP sent), sent (NEWLEADER), synced, served.
\* `given` and `said`: how many txns were proposed and committed on it; `base`: how many NEWLEADER stands for;
\* `held`: how many are durable there, as it said.

Gone == [st |-> "gone"]
Fresh(i, j) == [st |-> "new", from |-> i, to |-> j, up |-> <<>>, down |-> <<>>, fopen |-> TRUE, topen |-> TRUE,
                last |-> Zero, given |-> 0, said |-> 0, base |-> 0, held |-> 0]

IsTo(l, i) == links[l].st # "gone" /\ links[l].to = i /\ links[l].topen
IsFrom(l, i) == links[l].st # "gone" /\ links[l].from = i /\ links[l].fopen

Message(kind, z, x, log) == [k |-> kind, z |-> z, x |-> x, log |-> log]
Up(l, kind, z, x) == links' = [links EXCEPT ![l].up = Append(@, Message(kind, z, x, <<>>))]

CloseEnd(k, i) ==
    IF k.st = "gone" THEN k
    ELSE LET f == k.fopen /\ k.from # i
             t == k.topen /\ k.to # i
         IN IF f \/ t THEN [k EXCEPT !.fopen = f, !.topen = t,
                                     !.up = IF t THEN @ ELSE <<>>, !.down = IF f THEN @ ELSE <<>>]
            ELSE Gone
CloseAll(i) == links' = [l \in DOMAIN links |-> CloseEnd(links[l], i)]

----------------------------------------------------------------------------
Init ==
    /\ disk = [i \in Server |-> [log |-> <<>>, acc |-> 0, cur |-> 0]]
    /\ queue = [i \in Server |-> <<>>]
    /\ srv = [i \in Server |-> Dead]
    /\ links = <<>>
    /\ cast = {}
    /\ agreed = <<>>
    /\ heads = {}

----------------------------------------------------------------------------
\* Life and death

Crash(i) ==
    /\ srv[i].role # "down"
    /\ srv' = [srv EXCEPT ![i] = Dead]
    /\ CloseAll(i)
    /\ UNCHANGED <<disk, queue, cast, agreed, heads>>

\* The first n of the commands that had no answer were carried out; if the next one rewrites the log it may have
\* got so far that `len` txns are left. Nothing else is lost.
Start(i, n, len) ==
    /\ srv[i].role = "down"
    /\ LET d == ApplyFirst(disk[i], queue[i], n)
           rewrites == n < Len(queue[i]) /\ queue[i][n + 1].k \in {"CUT", "INSTALL"}
           least == IF rewrites THEN Upto(d.log, queue[i][n + 1].z) ELSE Len(d.log)
       IN /\ len \in least..Len(d.log)
          /\ disk' = [disk EXCEPT ![i] = [d EXCEPT !.log = SubSeq(@, 1, len)]]
          /\ srv' = [srv EXCEPT ![i] = [Looking(Dead) EXCEPT !.log = SubSeq(d.log, 1, len)]]
    /\ queue' = [queue EXCEPT ![i] = <<>>]
    /\ UNCHANGED <<links, cast, agreed, heads>>

DiskAppends(i, n) ==
    /\ srv[i].role # "down"
    /\ n \in 1..Len(queue[i])
    /\ \A k \in 1..n : queue[i][k].k = "APPEND"
    /\ disk' = [disk EXCEPT ![i] = ApplyFirst(@, queue[i], n)]
    /\ queue' = [queue EXCEPT ![i] = SubSeq(@, n + 1, Len(@))]
    /\ UNCHANGED <<srv, links, cast, agreed, heads>>

DiskDoes(i) ==
    /\ srv[i].role # "down" /\ queue[i] # <<>> /\ Head(queue[i]).k # "APPEND"
    /\ LET q == Head(queue[i])
           next == CASE srv[i].stage = "founding" /\ q.k = "ACCEPTED" -> "accepting"
                     [] srv[i].stage = "storing" /\ q.k = "CURRENT" /\ srv[i].role = "leading" -> "syncing"
                     [] srv[i].stage = "accepting" /\ q.k = "ACCEPTED" -> "answering"
                     [] srv[i].stage = "storing" /\ q.k = "CURRENT" -> "stored"
                     [] OTHER -> srv[i].stage
       IN /\ disk' = [disk EXCEPT ![i] = Apply(@, q)]
          /\ srv' = [srv EXCEPT ![i].stage = next, ![i].blank = @ /\ next # "stored"]
    /\ queue' = [queue EXCEPT ![i] = Tail(@)]
    /\ UNCHANGED <<links, cast, agreed, heads>>

\* A snapshot that did not arrive whole changes nothing, and its learner goes no further with this leader.
DiskRefuses(i) ==
    /\ srv[i].role # "down" /\ queue[i] # <<>> /\ Head(queue[i]).k = "INSTALL"
    /\ queue' = [queue EXCEPT ![i] = Tail(@)]
    /\ srv' = [srv EXCEPT ![i].log = disk[i].log, ![i].stage = IF srv[i].role = "following" THEN "refused" ELSE @]
    /\ UNCHANGED <<disk, links, cast, agreed, heads>>

Look(i) ==
    /\ srv[i].role \in {"leading", "following"}
    /\ srv' = [srv EXCEPT ![i] = Looking(@)]
    /\ CloseAll(i)
    /\ UNCHANGED <<disk, queue, cast, agreed, heads>>

----------------------------------------------------------------------------
\* Election. A vote for oneself is what the disk holds; a vote for another is that one's own vote, and better.

Better(e, z, j, f, y, i) == e > f \/ (e = f /\ (Lt(y, z) \/ (y = z /\ j > i)))

Vote(i, j, e, z) ==
    /\ srv[i].role = "looking" /\ queue[i] = <<>> /\ ~ srv[i].blank
    /\ \/ j = i /\ e = disk[i].cur /\ z = LastOf(disk[i].log)
       \/ j # i /\ <<j, j, e, z>> \in cast /\ Better(e, z, j, disk[i].cur, LastOf(disk[i].log), i)
    /\ cast' = cast \union {<<i, j, e, z>>}
    /\ UNCHANGED <<disk, queue, srv, links, agreed, heads>>

\* A server that never learned hears that the others have: its disk may have been lost. What it says counts as no
\* vote until a leader has taught it, and nobody is led by it.
GiveUpVote(i) ==
    /\ srv[i].role = "looking" /\ queue[i] = <<>>
    /\ disk[i].cur = 0 /\ disk[i].log = <<>>
    /\ srv' = [srv EXCEPT ![i].blank = TRUE]
    /\ UNCHANGED <<disk, queue, links, cast, agreed, heads>>

Elect(i, j) ==
    /\ srv[i].role = "looking" /\ queue[i] = <<>>
    /\ i = j => ~ srv[i].blank
    /\ \E v \in cast : v[2] = j /\ IsQuorum({u[1] : u \in {u \in cast : u[2] = j /\ u[3] = v[3] /\ u[4] = v[4]}})
    /\ srv' = [srv EXCEPT ![i].role = IF i = j THEN "leading" ELSE "following", ![i].with = j,
                          ![i].stage = IF i = j THEN "gathering" ELSE "dialing"]
    /\ UNCHANGED <<disk, queue, links, cast, agreed, heads>>

----------------------------------------------------------------------------
\* Links come and go

Connect(i, j) ==
    /\ srv[i].role = "following" /\ srv[i].stage = "dialing" /\ srv[i].with = j
    /\ srv[j].role # "down"
    /\ links' = Append(links, Fresh(i, j))
    /\ srv' = [srv EXCEPT ![i].link = Len(links) + 1, ![i].stage = "calling"]
    /\ UNCHANGED <<disk, queue, cast, agreed, heads>>

Disconnect(i, l) ==
    /\ IsTo(l, i) \/ IsFrom(l, i)
    /\ links' = [links EXCEPT ![l] = CloseEnd(@, i)]
    \* A caller counts, though it may have left, once there is a leader it called.
    /\ srv' = IF IsTo(l, i) /\ srv[i].role = "looking"
              THEN [srv EXCEPT ![i].callers = @ \ {links[l].from}] ELSE srv
    /\ UNCHANGED <<disk, queue, cast, agreed, heads>>

----------------------------------------------------------------------------
\* Discovery

SendFollowerInfo(l) ==
    LET i == links[l].from IN
    /\ IsFrom(l, i) /\ Learns(i, l, {"calling"})
    /\ Up(l, "FOLLOWERINFO", <<disk[i].acc, 0>>, 0)
    /\ srv' = [srv EXCEPT ![i].stage = "called"]
    /\ UNCHANGED <<disk, queue, cast, agreed, heads>>

CallerIsHeard(l, m) ==
    LET j == links[l].to IN
    /\ links[l].st = "new" /\ srv[j].role \in {"looking", "leading"}
    /\ links' = [links EXCEPT ![l].st = "called", ![l].last = m.z, ![l].up = Tail(@)]
    /\ srv' = [srv EXCEPT ![j].callers = IF srv[j].stage \in {"", "gathering"} THEN @ \union {links[l].from} ELSE @,
                          ![j].heard = Max(@, m.z[1])]

\* The leader takes the head of the learner's packets. One that follows another by now has no use for it.
TakeFollowerInfo(l, m) ==
    LET j == links[l].to IN
    \/ /\ links[l].st = "new" /\ srv[j].role = "following"
       /\ links' = [links EXCEPT ![l].up = Tail(@)]
       /\ UNCHANGED srv
    \/ CallerIsHeard(l, m)

\* The new epoch is above what each of a quorum has accepted.
Found(j, e) ==
    /\ Leads(j, {"gathering"}) /\ IsQuorum(srv[j].callers \union {j})
    /\ e > disk[j].acc
    /\ \A l \in DOMAIN links : IsTo(l, j) /\ links[l].st = "called" => e > links[l].last[1]
    /\ e <= Max(disk[j].acc, srv[j].heard) + 1
    /\ Give(j, "ACCEPTED", <<e, 0>>, <<>>)
    /\ srv' = [srv EXCEPT ![j].stage = "founding", ![j].ep = e]
    /\ UNCHANGED <<disk, links, cast, agreed, heads>>

SendLeaderInfo(l) ==
    LET j == links[l].to IN
    /\ IsTo(l, j) /\ links[l].st = "called" /\ Leads(j, {"accepting", "storing", "syncing", "broadcast"})
    /\ links' = [links EXCEPT ![l].st = "told", ![l].down = Append(@, Message("LEADERINFO", <<srv[j].ep, 0>>, 0, <<>>))]
    /\ UNCHANGED <<disk, queue, srv, cast, agreed, heads>>

TakeLeaderInfo(l, m) ==
    LET i == links[l].from
        e == m.z[1] IN
    /\ srv[i].stage = "called" /\ e >= disk[i].acc
    /\ srv' = [srv EXCEPT ![i].ep = e, ![i].again = (e = disk[i].acc),
                          ![i].stage = IF e = disk[i].acc THEN "answering" ELSE "accept"]

Accept(i) ==
    /\ srv[i].role = "following" /\ srv[i].stage = "accept"
    /\ Give(i, "ACCEPTED", <<srv[i].ep, 0>>, <<>>)
    /\ srv' = [srv EXCEPT ![i].stage = "accepting"]
    /\ UNCHANGED <<disk, links, cast, agreed, heads>>

\* Only once the epoch is durable. A learner that had accepted it before is not counted again.
SendAckEpoch(l) ==
    LET i == links[l].from IN
    /\ IsFrom(l, i) /\ Learns(i, l, {"answering"}) /\ disk[i].acc = srv[i].ep
    /\ Up(l, "ACKEPOCH", IF srv[i].blank THEN Unknown ELSE LastOf(disk[i].log),
          IF srv[i].again THEN 0 - 1 ELSE disk[i].cur)
    /\ srv' = [srv EXCEPT ![i].stage = "waiting"]
    /\ UNCHANGED <<disk, queue, cast, agreed, heads>>

\* A learner with a better history than the leader's is no backer.
TakeAckEpoch(l, m) ==
    LET j == links[l].to
        ahead == m.x > disk[j].cur \/ (m.x = disk[j].cur /\ Lt(LastOf(disk[j].log), m.z)) IN
    /\ links[l].st = "told"
    /\ links' = [links EXCEPT ![l].st = "acked", ![l].last = m.z, ![l].up = Tail(@)]
    /\ srv' = IF m.x = 0 - 1 \/ ahead THEN srv ELSE [srv EXCEPT ![j].backers = @ \union {links[l].from}]

Enthrone(j) ==
    /\ Leads(j, {"accepting"}) /\ IsQuorum(srv[j].backers \union {j})
    /\ Give(j, "CURRENT", <<srv[j].ep, 0>>, <<>>)
    /\ srv' = [srv EXCEPT ![j].stage = "storing"]
    /\ UNCHANGED <<disk, links, cast, agreed, heads>>

----------------------------------------------------------------------------
\* Synchronization. A leader that is not established hands out its whole log as committed.

SyncedTo(j) == {links[l].from : l \in {l \in DOMAIN links : IsTo(l, j) /\ links[l].st \in {"synced", "served"}}}
IsEstablishing(j) == Leads(j, {"syncing"}) /\ IsQuorum(SyncedTo(j) \union {j})
Whole(j) == srv[j].log \o srv[j].pend
Bound(j) == IF srv[j].stage = "broadcast" THEN srv[j].known ELSE Len(srv[j].log)

\* What a learner said on an older link must not count while it is told to cut its log on a new one.
IsOnlyLink(l) == \A k \in DOMAIN links : k # l /\ IsTo(k, links[l].to) => links[k].from # links[l].from

Begin(l, kind, z, log, given) ==
    LET j == links[l].to IN
    /\ IsTo(l, j) /\ IsOnlyLink(l) /\ links[l].st = "acked" /\ Leads(j, {"syncing", "broadcast"})
    /\ links' = [links EXCEPT ![l].st = "first", ![l].given = given, ![l].said = given, ![l].base = Bound(j),
                              ![l].down = Append(@, Message(kind, z, 0, log))]
    /\ UNCHANGED <<disk, queue, srv, cast, agreed, heads>>

\* The learner's log is a first part of the leader's.
SendDiff(l) ==
    LET j == links[l].to
        b == Bound(j)
        at == Place(Whole(j), links[l].last) IN
    /\ links[l].last = Zero \/ at > 0
    /\ at <= b
    /\ Begin(l, "DIFF", IF b = 0 THEN Zero ELSE Entry(srv[j], b), <<>>, at)

\* The learner's log ends with txns that the leader does not have, or does not know as committed.
SendTrunc(l) ==
    LET j == links[l].to
        at == Upto(SubSeq(Whole(j), 1, Bound(j)), links[l].last) IN
    /\ links[l].last # Unknown
    /\ at > 0 \/ links[l].last # Zero
    /\ LastOf(SubSeq(Whole(j), 1, at)) # links[l].last
    /\ Begin(l, "TRUNC", LastOf(SubSeq(Whole(j), 1, at)), <<>>, at)

\* The tree has all that the learner's log may share with the leader's, or the learner would forget what it
\* acknowledged.
SendSnap(l, at) ==
    LET j == links[l].to IN
    /\ at \in Upto(SubSeq(Whole(j), 1, Bound(j)), links[l].last)..Bound(j)
    /\ Begin(l, "SNAP", LastOf(SubSeq(Whole(j), 1, at)), SubSeq(Whole(j), 1, at), at)

SendNewLeader(l) ==
    LET j == links[l].to IN
    /\ IsTo(l, j) /\ links[l].st = "first" /\ Leads(j, {"syncing", "broadcast"})
    /\ links[l].given >= links[l].base /\ links[l].said >= links[l].base
    /\ links' = [links EXCEPT ![l].st = "sent", ![l].down = Append(@, Message("NEWLEADER", <<srv[j].ep, 0>>, 0, <<>>))]
    /\ UNCHANGED <<disk, queue, srv, cast, agreed, heads>>

TakeFirst(l, m) ==
    LET i == links[l].from IN
    /\ srv[i].stage = "waiting"
    /\ srv' = [srv EXCEPT ![i].stage = CASE m.k = "DIFF" -> "taking" [] m.k = "TRUNC" -> "cut" [] m.k = "SNAP" -> "install",
                          ![i].known = Len(srv[i].log), ![i].tree = Append(m.log, m.z)]

Cut(i) ==
    LET z == LastOf(srv[i].tree)
        len == Upto(srv[i].log, z) IN
    /\ srv[i].role = "following" /\ srv[i].stage = "cut"
    /\ Give(i, "CUT", z, <<>>)
    /\ srv' = [srv EXCEPT ![i].stage = "taking", ![i].log = SubSeq(@, 1, len), ![i].known = len, ![i].tree = <<>>]
    /\ UNCHANGED <<disk, links, cast, agreed, heads>>

Install(i) ==
    LET z == LastOf(srv[i].tree)
        log == SubSeq(srv[i].tree, 1, Len(srv[i].tree) - 1) IN
    /\ srv[i].role = "following" /\ srv[i].stage = "install"
    /\ Give(i, "INSTALL", z, log)
    /\ srv' = [srv EXCEPT ![i].stage = "taking", ![i].log = log, ![i].known = Len(log), ![i].tree = <<>>]
    /\ UNCHANGED <<disk, links, cast, agreed, heads>>

TakeNewLeader(l, m) ==
    LET i == links[l].from IN
    /\ srv[i].stage = "taking" /\ m.z = <<srv[i].ep, 0>>
    /\ srv' = [srv EXCEPT ![i].stage = "ending", ![i].mark = srv[i].known]

\* The current epoch follows the txns that NEWLEADER stands for, which are durable.
StoreEpoch(i) ==
    /\ srv[i].role = "following" /\ srv[i].stage = "ending" /\ queue[i] = <<>>
    /\ Len(disk[i].log) >= srv[i].mark
    /\ Give(i, "CURRENT", <<srv[i].ep, 0>>, <<>>)
    /\ srv' = [srv EXCEPT ![i].stage = "storing"]
    /\ UNCHANGED <<disk, links, cast, agreed, heads>>

\* The ACK of NEWLEADER: the epoch is durable. It comes once more behind UPTODATE.
SendAckLeader(l) ==
    LET i == links[l].from IN
    /\ IsFrom(l, i) /\ disk[i].cur = srv[i].ep
    /\ Learns(i, l, {"stored"}) \/ (Learns(i, l, {"broadcast"}) /\ srv[i].owes)
    /\ Up(l, "ACKLD", <<srv[i].ep, 0>>, 0)
    /\ srv' = [srv EXCEPT ![i].stage = IF @ = "stored" THEN "acked" ELSE @, ![i].owes = FALSE]
    /\ UNCHANGED <<disk, queue, cast, agreed, heads>>

TakeAckLeader(l, m) ==
    LET j == links[l].to IN
    /\ links[l].st \in {"sent", "synced", "served"} /\ m.z = <<srv[j].ep, 0>>
    /\ links' = [links EXCEPT ![l].st = IF @ = "sent" THEN "synced" ELSE @, ![l].held = Max(@, links[l].base),
                              ![l].up = Tail(@)]
    /\ UNCHANGED srv

Lead(j) ==
    /\ IsEstablishing(j)
    /\ srv' = [srv EXCEPT ![j].stage = "broadcast", ![j].known = Len(srv[j].log)]
    /\ heads' = heads \union {<<srv[j].ep, j>>}
    /\ UNCHANGED <<disk, queue, links, cast, agreed>>

SendUpToDate(l) ==
    LET j == links[l].to IN
    /\ IsTo(l, j) /\ links[l].st = "synced" /\ Leads(j, {"broadcast"})
    /\ links' = [links EXCEPT ![l].st = "served", ![l].down = Append(@, Message("UPTODATE", Zero, 0, <<>>))]
    /\ UNCHANGED <<disk, queue, srv, cast, agreed, heads>>

TakeUpToDate(l) ==
    LET i == links[l].from IN
    /\ srv[i].stage = "acked"
    /\ srv' = [srv EXCEPT ![i].stage = "broadcast", ![i].owes = TRUE,
                          ![i].known = Max(@, Len(srv[i].log)), ![i].acks = Len(srv[i].log)]

----------------------------------------------------------------------------
\* Broadcast

Propose(j) ==
    LET last == End(srv[j])
        z == IF last[1] = srv[j].ep THEN <<last[1], last[2] + 1>> ELSE <<srv[j].ep, 1>> IN
    /\ Leads(j, {"broadcast"})
    /\ srv' = [srv EXCEPT ![j].pend = Append(@, z)]
    /\ UNCHANGED <<disk, queue, links, cast, agreed, heads>>

\* Proposals go out in order, to a learner from where its synchronization began.
SendProposal(l) ==
    LET j == links[l].to IN
    /\ IsTo(l, j) /\ links[l].st \in {"first", "sent", "synced", "served"}
    /\ links[l].given < Total(srv[j])
    /\ links' = [links EXCEPT ![l].given = @ + 1,
                              ![l].down = Append(@, Message("PROPOSAL", Entry(srv[j], links[l].given + 1), 0, <<>>))]
    /\ UNCHANGED <<disk, queue, srv, cast, agreed, heads>>

TakeProposal(l, m) ==
    LET i == links[l].from IN
    /\ srv[i].stage \in {"taking", "ending", "storing", "stored", "acked", "broadcast"}
    /\ \/ MayFollow(End(srv[i]), m.z) /\ srv' = [srv EXCEPT ![i].pend = Append(@, m.z)]
       \* A snapshot may hold what is proposed behind it.
       \/ srv[i].stage # "broadcast" /\ srv[i].pend = <<>> /\ Place(srv[i].log, m.z) > 0 /\ UNCHANGED srv

\* Before NEWLEADER only what is committed is logged, after UPTODATE everything.
Log(i) ==
    /\ srv[i].pend # <<>>
    /\ \/ Leads(i, {"broadcast"})
       \/ srv[i].role = "following" /\ srv[i].stage = "broadcast"
       \/ srv[i].role = "following" /\ srv[i].stage \in {"taking", "ending"} /\ Len(srv[i].log) < srv[i].known
    /\ Give(i, "APPEND", Head(srv[i].pend), <<>>)
    /\ srv' = [srv EXCEPT ![i].log = Append(@, Head(srv[i].pend)), ![i].pend = Tail(@)]
    /\ UNCHANGED <<disk, links, cast, agreed, heads>>

\* A txn is acknowledged once it is durable, behind the ACK of NEWLEADER, in order.
SendAck(l) ==
    LET i == links[l].from IN
    /\ IsFrom(l, i) /\ Learns(i, l, {"broadcast"}) /\ srv[i].acks < Len(disk[i].log)
    /\ Up(l, "ACK", disk[i].log[srv[i].acks + 1], 0)
    /\ srv' = [srv EXCEPT ![i].acks = @ + 1]
    /\ UNCHANGED <<disk, queue, cast, agreed, heads>>

TakeAck(l, m) ==
    LET j == links[l].to
        at == Place(srv[j].log \o srv[j].pend, m.z) IN
    /\ links[l].st \in {"synced", "served"} /\ at > 0
    /\ links' = [links EXCEPT ![l].held = Max(@, at), ![l].up = Tail(@)]
    /\ UNCHANGED srv

\* Whether a quorum holds the first k txns, the leader's own disk counted like any other.
IsHeld(j, k) ==
    LET others == {l \in DOMAIN links : IsTo(l, j) /\ links[l].st \in {"synced", "served"} /\ links[l].held >= k}
        own == IF Len(disk[j].log) >= k THEN {j} ELSE {}
    IN IsQuorum({links[l].from : l \in others} \union own)

IsCommitted(j, k) ==
    \/ srv[j].stage = "broadcast" /\ (k <= srv[j].known \/ IsHeld(j, k))
    \/ srv[j].stage = "syncing" /\ k <= Len(srv[j].log)

SendCommit(l) ==
    LET j == links[l].to
        k == links[l].said + 1 IN
    /\ IsTo(l, j) /\ links[l].st \in {"first", "sent", "synced", "served"}
    /\ links[l].st # "first" => srv[j].stage = "broadcast"
    /\ k <= links[l].given /\ IsCommitted(j, k)
    /\ links' = [links EXCEPT ![l].said = k, ![l].down = Append(@, Message("COMMIT", Entry(srv[j], k), 0, <<>>))]
    /\ srv' = IF srv[j].stage = "broadcast" THEN [srv EXCEPT ![j].known = Max(@, k)] ELSE srv
    /\ UNCHANGED <<disk, queue, cast, agreed, heads>>

TakeCommit(l, m) ==
    LET i == links[l].from
        k == srv[i].known + 1 IN
    /\ srv[i].stage \in {"taking", "ending", "storing", "stored", "acked", "broadcast"}
    /\ \/ k <= Total(srv[i]) /\ Entry(srv[i], k) = m.z /\ srv' = [srv EXCEPT ![i].known = k]
       \/ srv[i].stage # "broadcast" /\ Place(srv[i].log, m.z) \in 1..srv[i].known /\ UNCHANGED srv

\* A txn is shown to clients when it is committed and durable here.
Deliver(i, k) ==
    /\ k >= srv[i].shown /\ k <= Len(disk[i].log)
    /\ \/ srv[i].role = "following" /\ srv[i].stage = "broadcast" /\ k <= srv[i].known
       \/ Leads(i, {"broadcast"}) /\ IsCommitted(i, k)
       \/ IsEstablishing(i)
    /\ srv' = [srv EXCEPT ![i].shown = k, ![i].known = Max(@, k)]
    /\ agreed' = IF k > Len(agreed) THEN SubSeq(disk[i].log, 1, k) ELSE agreed
    /\ UNCHANGED <<disk, queue, links, cast, heads>>

----------------------------------------------------------------------------
\* Packets are taken in the order in which they were sent.

TakeUp(l) ==
    /\ links[l].st # "gone" /\ links[l].topen /\ links[l].up # <<>>
    /\ LET m == Head(links[l].up) IN
       \/ m.k = "FOLLOWERINFO" /\ TakeFollowerInfo(l, m)
       \/ m.k = "ACKEPOCH" /\ TakeAckEpoch(l, m)
       \/ m.k = "ACKLD" /\ TakeAckLeader(l, m)
       \/ m.k = "ACK" /\ TakeAck(l, m)
    /\ UNCHANGED <<disk, queue, cast, agreed, heads>>

TakeDown(l) ==
    /\ links[l].st # "gone" /\ links[l].fopen /\ links[l].down # <<>>
    /\ srv[links[l].from].link = l
    /\ LET m == Head(links[l].down) IN
       \/ m.k = "LEADERINFO" /\ TakeLeaderInfo(l, m)
       \/ m.k \in {"DIFF", "TRUNC", "SNAP"} /\ TakeFirst(l, m)
       \/ m.k = "NEWLEADER" /\ TakeNewLeader(l, m)
       \/ m.k = "UPTODATE" /\ TakeUpToDate(l)
       \/ m.k = "PROPOSAL" /\ TakeProposal(l, m)
       \/ m.k = "COMMIT" /\ TakeCommit(l, m)
    /\ links' = [links EXCEPT ![l].down = Tail(@)]
    /\ UNCHANGED <<disk, queue, cast, agreed, heads>>

IsOpen(l) == links[l].st # "gone"

Next ==
    \/ \E i \in Server :
        \/ Crash(i) \/ Look(i) \/ DiskDoes(i) \/ DiskRefuses(i) \/ Accept(i) \/ Enthrone(i)
        \/ Cut(i) \/ Install(i) \/ StoreEpoch(i) \/ Lead(i) \/ Propose(i) \/ Log(i)
        \/ \E n \in 0..Len(queue[i]), len \in 0..(Len(disk[i].log) + Len(queue[i])) : Start(i, n, len)
        \/ \E n \in 1..Len(queue[i]) : DiskAppends(i, n)
        \/ \E j \in Server : Elect(i, j) \/ Connect(i, j)
        \/ GiveUpVote(i)
        \/ Vote(i, i, disk[i].cur, LastOf(disk[i].log))
        \/ \E v \in cast : Vote(i, v[2], v[3], v[4])
        \/ Found(i, Max(disk[i].acc, srv[i].heard) + 1)
        \/ \E k \in 1..Len(disk[i].log) : Deliver(i, k)
    \/ \E l \in DOMAIN links : IsOpen(l) /\
        \/ \E i \in Server : Disconnect(i, l)
        \/ TakeUp(l) \/ TakeDown(l)
        \/ SendFollowerInfo(l) \/ SendLeaderInfo(l) \/ SendAckEpoch(l)
        \/ SendDiff(l) \/ SendTrunc(l) \/ (\E at \in 0..Bound(links[l].to) : SendSnap(l, at))
        \/ SendNewLeader(l) \/ SendAckLeader(l) \/ SendUpToDate(l)
        \/ SendProposal(l) \/ SendAck(l) \/ SendCommit(l)

Spec == Init /\ [][Next]_vars

----------------------------------------------------------------------------
\* What must hold

\* An epoch has one leader.
OneLeader == \A a, b \in heads : a[1] = b[1] => a = b

\* All servers show first parts of one history, and nothing that is not on their own disk.
OneHistory == \A i \in Server : srv[i].shown <= Len(disk[i].log)
                             /\ SubSeq(disk[i].log, 1, srv[i].shown) = SubSeq(agreed, 1, srv[i].shown)

\* What was shown is on a quorum of disks and stays there.
Durable == IsQuorum({i \in Server : IsPrefix(agreed, disk[i].log)})

\* The leader of the newest epoch has all that was shown, and a quorum has stored its epoch.
Complete ==
    \A i \in Server : LET e == srv[i].ep IN
        Leads(i, {"broadcast"}) /\ (\A h \in heads : h[1] <= e) =>
            /\ IsPrefix(agreed, srv[i].log \o srv[i].pend)
            /\ IsQuorum({j \in Server : disk[j].cur >= e})

Safe == OneLeader /\ OneHistory /\ Durable /\ Complete
=============================================================================
