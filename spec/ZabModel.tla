------------------------------ MODULE ZabModel ------------------------------
(* Zab within bounds, so that TLC can walk through all of it, or at random through more of it.               *)
(* Elections are free here: any server may be taken for leader at any time, for safety must not rest on them. *)
EXTENDS Zab

CONSTANTS Epochs, Txns, Links, Deaths

VARIABLE deaths   \* crashes, changes of mind and broken links so far

FreeElect(i, j) ==
    /\ srv[i].role = "looking" /\ queue[i] = <<>>
    /\ srv' = [srv EXCEPT ![i].role = IF i = j THEN "leading" ELSE "following", ![i].with = j,
                          ![i].stage = IF i = j THEN "gathering" ELSE "dialing"]
    /\ UNCHANGED <<disk, queue, links, cast, agreed, heads>>

NoVote(i, j, e, z) == FALSE

\* Rules broken on purpose: Safe must not survive them.

AckOfMemory(l) ==
    LET i == links[l].from IN
    /\ IsFrom(l, i) /\ Learns(i, l, {"broadcast"}) /\ srv[i].acks < Len(srv[i].log)
    /\ Up(l, "ACK", srv[i].log[srv[i].acks + 1], 0)
    /\ srv' = [srv EXCEPT ![i].acks = @ + 1]
    /\ UNCHANGED <<disk, queue, cast, agreed, heads>>

HeldByOne(j, k) == k <= Total(srv[j])

AnyLink(l) == TRUE

Alive == [i \in Server |-> [Dead EXCEPT !.role = "looking"]]

\* Everybody is up and nothing has happened.
ModelInit ==
    /\ disk = [i \in Server |-> [log |-> <<>>, acc |-> 0, cur |-> 0]]
    /\ queue = [i \in Server |-> <<>>]
    /\ srv = Alive
    /\ links = <<>> /\ cast = {} /\ agreed = <<>> /\ heads = {} /\ deaths = 0

\* An ensemble that has its first leader, the highest server; all others follow it.
Head1 == CHOOSE i \in Server : \A j \in Server : j <= i
Others == Server \ {Head1}
BroadcastInit ==
    /\ disk = [i \in Server |-> [log |-> <<>>, acc |-> 1, cur |-> 1]]
    /\ queue = [i \in Server |-> <<>>]
    /\ srv = [i \in Server |-> IF i = Head1
                 THEN [Dead EXCEPT !.role = "leading", !.stage = "broadcast", !.with = i, !.ep = 1]
                 ELSE [Dead EXCEPT !.role = "following", !.stage = "broadcast", !.with = Head1, !.ep = 1, !.link = i]]
    /\ links = [i \in Others |-> [Fresh(i, Head1) EXCEPT !.st = "served"]]
    /\ cast = {} /\ agreed = <<>> /\ heads = {<<1, Head1>>} /\ deaths = 0
ModelNext == Next /\ deaths' = deaths
    + (IF \E i \in Server : srv[i].role # "looking" /\ srv'[i].role \in {"looking", "down"} /\ srv[i].role # "down"
       THEN 1 ELSE 0)
    + (IF \E l \in DOMAIN links : IsOpen(l) /\ links[l].fopen /\ links[l].topen /\ links'[l].st # "gone"
                                  /\ ~ (links'[l].fopen /\ links'[l].topen)
                                  /\ \A i \in Server : srv'[i].role = srv[i].role
       THEN 1 ELSE 0)
ModelSpec == ModelInit /\ [][ModelNext]_<<vars, deaths>>
BroadcastSpec == BroadcastInit /\ [][ModelNext]_<<vars, deaths>>

Bounded ==
    /\ deaths <= Deaths
    /\ Len(links) <= Links
    /\ \A i \in Server : srv[i].ep <= Epochs /\ Total(srv[i]) <= Txns /\ disk[i].acc <= Epochs
=============================================================================
