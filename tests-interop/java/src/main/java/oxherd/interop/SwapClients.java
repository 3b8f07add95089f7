package oxherd.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderLatchListener;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/**
 * Clients that run while servers are exchanged: Curator's locks and latches, and ZooKeeper's own one-shot watches.
 * Reads the lines pause, resume, tell and stop; answers each with one line {@code name=count ...}, then {@code wrong: ...}
 * lines and a line {@code end}.
 */
public class SwapClients {
    private static final int TIMEOUT_MS = 15_000;
    private static final int WATCHED = 8;
    private static final int LOCKERS = 3;
    /** Workers hold the read side during a round; a pause takes the write side. */
    private static final ReentrantReadWriteLock ROUND = new ReentrantReadWriteLock(true);
    private static final Set<String> WRONG = ConcurrentHashMap.newKeySet();
    private static final Map<String, AtomicInteger> COUNTS = new ConcurrentHashMap<>();
    private static final List<Runnable> ENDINGS = new ArrayList<>();
    private static volatile boolean over;

    interface Act {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        String servers = arguments[0];
        for (String path : new String[] {"/swap-lock", "/swap-latch", "/swap-counter", "/swap-watched"}) {
            prepare(servers, path);
        }
        AtomicReference<String> holder = new AtomicReference<>();
        for (int i = 0; i < LOCKERS; i++) {
            locker(client(servers, "locker" + i), "locker" + i, holder);
        }
        AtomicReference<String> leader = new AtomicReference<>();
        for (int i = 0; i < 2; i++) {
            candidate(client(servers, "candidate" + i), "candidate" + i, leader);
        }
        watches(servers);
        obey();
        System.exit(0);
    }

    private static void prepare(String servers, String path) throws Exception {
        try (CuratorFramework client = CuratorFrameworkFactory.newClient(servers, new RetryNTimes(50, 200))) {
            client.start();
            client.create().orSetData().forPath(path, "0".getBytes());
        }
    }

    private static void obey() throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            if (line.equals("resume")) {
                ROUND.writeLock().unlock();
            } else if (line.equals("pause")) {
                ROUND.writeLock().lock();
            } else if (!line.equals("tell")) {
                over = true;
                ENDINGS.forEach(Runnable::run);
            }
            StringBuilder counts = new StringBuilder("counts:");
            new TreeMap<>(COUNTS).forEach((name, count) -> counts.append(' ').append(name).append('=').append(count));
            System.out.println(counts);
            WRONG.forEach(wrong -> System.out.println("wrong: " + wrong));
            System.out.println("end");
            System.out.flush();
            if (over) {
                return;
            }
        }
    }

    private static void count(String name) {
        COUNTS.computeIfAbsent(name, key -> new AtomicInteger()).incrementAndGet();
    }

    /** A client whose session must be the same in the end. */
    private static CuratorFramework client(String servers, String name) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.newClient(servers, TIMEOUT_MS, 5000, new RetryNTimes(400, 50));
        client.start();
        client.blockUntilConnected();
        client.getConnectionStateListenable().addListener((framework, state) -> {
            if (state == ConnectionState.LOST) {
                WRONG.add(name + ": its session is lost");
            }
        });
        long session = client.getZookeeperClient().getZooKeeper().getSessionId();
        ENDINGS.add(() -> {
            try {
                if (client.getZookeeperClient().getZooKeeper().getSessionId() != session) {
                    WRONG.add(name + ": another session than in the beginning");
                }
            } catch (Exception error) {
                WRONG.add(name + ": " + error);
            }
        });
        return client;
    }

    private static void loop(String name, Act round) {
        Thread thread = new Thread(() -> {
            while (!over) {
                ROUND.readLock().lock();
                try {
                    round.run();
                } catch (KeeperException.ConnectionLossException | KeeperException.SessionMovedException lost) {
                    count("retries");
                } catch (Exception error) {
                    WRONG.add(name + ": " + error);
                } finally {
                    ROUND.readLock().unlock();
                }
            }
        }, name);
        thread.setDaemon(true);
        thread.start();
    }

    /** Enters, adds one to a counter as only a holder of the lock may, leaves. */
    private static void locker(CuratorFramework client, String name, AtomicReference<String> holder) {
        InterProcessMutex mutex = new InterProcessMutex(client, "/swap-lock");
        loop(name, () -> {
            if (!mutex.acquire(60, TimeUnit.SECONDS)) {
                WRONG.add(name + ": the lock is stuck");
                return;
            }
            try {
                String other = holder.getAndSet(name);
                if (other != null) {
                    WRONG.add("the lock is held by " + other + " and " + name);
                }
                add(client, name);
                count("locks");
            } finally {
                holder.set(null);
                mutex.release();
            }
            Thread.sleep(5);
        });
    }

    private static void add(CuratorFramework client, String name) throws Exception {
        Stat stat = new Stat();
        String[] found = new String(client.getData().storingStatIn(stat).forPath("/swap-counter")).split(" ");
        byte[] mine = (Integer.parseInt(found[0]) + 1 + " " + name).getBytes();
        try {
            client.setData().withVersion(stat.getVersion()).forPath("/swap-counter", mine);
        } catch (KeeperException.BadVersionException twice) {
            // Curator sends a write again when the link is lost; the first may have been carried out.
            byte[] now = client.getData().forPath("/swap-counter");
            if (!java.util.Arrays.equals(now, mine)) {
                WRONG.add("the counter was changed under the lock of " + name);
            }
        }
    }

    /** Leads, and steps down after a while. */
    private static void candidate(CuratorFramework client, String name, AtomicReference<String> leader) throws Exception {
        AtomicReference<LeaderLatch> current = new AtomicReference<>(latch(client, name, leader));
        loop(name, () -> {
            Thread.sleep(100);
            if (current.get().hasLeadership()) {
                Thread.sleep(300);
                current.get().close(LeaderLatch.CloseMode.NOTIFY_LEADER);
                current.set(latch(client, name, leader));
            }
        });
    }

    private static LeaderLatch latch(CuratorFramework client, String name, AtomicReference<String> leader) throws Exception {
        LeaderLatch latch = new LeaderLatch(client, "/swap-latch", name);
        latch.addListener(new LeaderLatchListener() {
            @Override
            public void isLeader() {
                String other = leader.getAndSet(name);
                if (other != null && !other.equals(name)) {
                    WRONG.add("led by " + other + " and " + name);
                }
                count("leaderships");
            }

            @Override
            public void notLeader() {
                leader.compareAndSet(name, null);
            }
        });
        latch.start();
        return latch;
    }

    /** A one-shot watch always stands on every node; whoever misses an event never sees the last version. */
    private static void watches(String servers) throws Exception {
        ZooKeeper watcher = session(servers, "watcher");
        ZooKeeper changer = session(servers, "changer");
        int[] seen = new int[WATCHED];
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        for (int i = 0; i < WATCHED; i++) {
            changer.create("/swap-watched/" + i, new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            events.add("/swap-watched/" + i);
        }
        Watcher queue = event -> {
            if (event.getType() != Watcher.Event.EventType.None) {
                count("events");
                events.add(event.getPath());
            }
        };
        Thread follow = new Thread(() -> follow(watcher, queue, events, seen), "watcher");
        follow.setDaemon(true);
        follow.start();
        int[] turn = new int[1];
        loop("changer", () -> {
            changer.setData("/swap-watched/" + turn[0]++ % WATCHED, new byte[8], -1);
            count("changes");
            Thread.sleep(10);
        });
        ENDINGS.add(() -> compare(changer, seen));
    }

    private static void follow(ZooKeeper watcher, Watcher queue, BlockingQueue<String> events, int[] seen) {
        while (true) {
            String path = "";
            try {
                path = events.take();
                int version = watcher.exists(path, queue).getVersion();
                synchronized (seen) {
                    seen[Integer.parseInt(path.substring(path.lastIndexOf('/') + 1))] = version;
                    seen.notifyAll();
                }
            } catch (KeeperException.ConnectionLossException lost) {
                events.add(path);
            } catch (Exception error) {
                WRONG.add("watcher: " + error);
                return;
            }
        }
    }

    private static void compare(ZooKeeper changer, int[] seen) {
        try {
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
            for (int i = 0; i < WATCHED; i++) {
                int last = changer.exists("/swap-watched/" + i, false).getVersion();
                synchronized (seen) {
                    while (seen[i] < last && System.nanoTime() < end) {
                        seen.wait(100);
                    }
                    if (seen[i] != last) {
                        WRONG.add("no event after version " + seen[i] + " of watched node " + i + ", which has " + last);
                    }
                }
            }
        } catch (Exception error) {
            WRONG.add("watches: " + error);
        }
    }

    private static ZooKeeper session(String servers, String name) throws Exception {
        BlockingQueue<WatchedEvent> states = new LinkedBlockingQueue<>();
        ZooKeeper client = new ZooKeeper(servers, TIMEOUT_MS, event -> {
            states.add(event);
            if (event.getState() == Watcher.Event.KeeperState.Expired) {
                WRONG.add(name + ": its session is lost");
            }
        });
        if (states.poll(30, TimeUnit.SECONDS) == null) {
            throw new IllegalStateException("cannot connect");
        }
        return client;
    }
}
