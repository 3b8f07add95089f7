------------------------------ MODULE ZabTrace ------------------------------
(* Holds recorded runs against Zab: each event must be a step that Zab allows, with the values that were      *)
(* recorded, and must lead to a state in which all is safe. Many traces are walked side by side; `t` is which. *)
EXTENDS Zab, TLC, Traces

CONSTANT Explain   \* also say where the others stop

VARIABLES t, pos

Size == Len(Trace[t])
Now == Event[Trace[t][pos]]

\* <<event, server, link or other, kind, epoch, counter, further>>
S == Now[2]
L == Now[3]
Z == <<Now[5], Now[6]>>

IsLast(packets) == LET m == packets[Len(packets)] IN m.k = Now[4] /\ m.z = Z /\ m.x = Now[7]
IsNext(packets) == packets # <<>> /\ LET m == Head(packets) IN m.k = Now[4] /\ m.z = Z /\ m.x = Now[7]

Sends ==
    /\ L \in DOMAIN links /\ links[L].st # "gone"
    /\ IF links[L].from = S
       THEN /\ CASE Now[4] = "FOLLOWERINFO" -> SendFollowerInfo(L)
                 [] Now[4] = "ACKEPOCH" -> SendAckEpoch(L)
                 [] Now[4] = "ACKLD" -> SendAckLeader(L)
                 [] Now[4] = "ACK" -> SendAck(L)
                 [] OTHER -> FALSE
            /\ IsLast(links'[L].up)
       ELSE /\ links[L].to = S
            /\ CASE Now[4] = "LEADERINFO" -> SendLeaderInfo(L)
                 [] Now[4] = "DIFF" -> SendDiff(L)
                 [] Now[4] = "TRUNC" -> SendTrunc(L)
                 [] Now[4] = "SNAP" -> SendSnap(L, Place(srv[S].log, Z))
                 [] Now[4] = "NEWLEADER" -> SendNewLeader(L)
                 [] Now[4] = "UPTODATE" -> SendUpToDate(L)
                 [] Now[4] = "PROPOSAL" -> SendProposal(L)
                 [] Now[4] = "COMMIT" -> SendCommit(L)
                 [] OTHER -> FALSE
            /\ IsLast(links'[L].down)

Takes ==
    /\ L \in DOMAIN links /\ links[L].st # "gone"
    /\ IF links[L].from = S THEN IsNext(links[L].down) /\ TakeDown(L)
       ELSE links[L].to = S /\ IsNext(links[L].up) /\ TakeUp(L)

\* What the server gives to its disk.
Gives ==
    /\ CASE Now[4] = "APPEND" -> Log(S)
         [] Now[4] = "ACCEPTED" -> IF srv[S].role = "leading" THEN Found(S, Now[5]) ELSE Accept(S)
         [] Now[4] = "CURRENT" -> IF srv[S].role = "leading" THEN Enthrone(S) ELSE StoreEpoch(S)
         [] Now[4] = "CUT" -> Cut(S)
         [] Now[4] = "INSTALL" -> Install(S)
    /\ LastOf(queue'[S]).z = Z

\* What the disk answers: for txns one answer stands for all before it.
Answers ==
    /\ queue[S] # <<>>
    /\ IF Now[4] = "APPEND"
       THEN \E n \in 1..Len(queue[S]) : queue[S][n].k = "APPEND" /\ queue[S][n].z = Z /\ DiskAppends(S, n)
       ELSE IF Now[4] = "REFUSED" THEN DiskRefuses(S)
       ELSE Head(queue[S]).k = Now[4] /\ Head(queue[S]).z = Z /\ DiskDoes(S)

Starts ==
    /\ \E n \in 0..Len(queue[S]) : \E len \in 0..Len(ApplyFirst(disk[S], queue[S], n).log) :
        /\ LET d == ApplyFirst(disk[S], queue[S], n) IN
            d.acc = Now[3] /\ d.cur = Now[7] /\ LastOf(SubSeq(d.log, 1, len)) = Z
        /\ Start(S, n, len)

Step ==
    CASE Now[1] = "start" -> Starts
      [] Now[1] = "crash" -> Crash(S)
      [] Now[1] = "look" -> Look(S)
      [] Now[1] = "vote" -> IF Z = Unknown THEN L = S /\ GiveUpVote(S) ELSE Vote(S, L, Now[7], Z)
      [] Now[1] = "elect" -> Elect(S, L)
      [] Now[1] = "up" -> Connect(S, Now[7]) /\ Len(links') = L
      [] Now[1] = "down" -> Disconnect(S, L)
      [] Now[1] = "send" -> Sends
      [] Now[1] = "recv" -> Takes
      [] Now[1] = "queue" -> Gives
      [] Now[1] = "disk" -> Answers
      [] Now[1] = "lead" -> Lead(S) /\ srv[S].ep = Now[5]
      [] Now[1] = "follow" ->
            srv[S].with = L /\ srv[S].ep = Now[5] /\ srv[S].stage = "broadcast" /\ UNCHANGED vars
      [] Now[1] = "propose" -> Propose(S) /\ End(srv'[S]) = Z
      [] Now[1] = "deliver" -> Place(disk[S].log, Z) > 0 /\ Deliver(S, Place(disk[S].log, Z))

TraceInit == Init /\ t \in DOMAIN Trace /\ pos = 1

TraceNext ==
    \/ /\ pos <= Size
       /\ Step
       /\ Safe'
       /\ pos' = pos + 1 /\ t' = t
       /\ pos' > Size => PrintT(<<"accepted", t>>)
    \/ /\ Explain /\ pos <= Size
       /\ ~ ENABLED (Step /\ Safe')
       /\ PrintT(<<"rejected", t, pos, Now, IF ENABLED Step THEN "unsafe" ELSE "no such step", srv[S], disk[S], queue[S]>>)
       /\ FALSE /\ UNCHANGED <<vars, t, pos>>

TraceSpec == TraceInit /\ [][TraceNext]_<<vars, t, pos>>
=============================================================================
