package oxherd.interop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.x.async.AsyncCuratorFramework;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Curator's recipes on the server that ZK_HOSTPORT names; it has extended types enabled. */
public class CuratorRecipes {
    private static final AtomicInteger COUNTER = new AtomicInteger();
    private final List<AutoCloseable> open = new ArrayList<>();
    private CuratorFramework client;
    private String root;

    @BeforeEach
    void connect() throws Exception {
        root = "/curator-" + COUNTER.incrementAndGet();
        client = another();
    }

    @AfterEach
    void close() throws Exception {
        Collections.reverse(open);
        for (AutoCloseable one : open) {
            one.close();
        }
    }

    private CuratorFramework another() throws Exception {
        CuratorFramework made = CuratorFrameworkFactory.newClient(
            System.getenv("ZK_HOSTPORT"), 20000, 10000, new ExponentialBackoffRetry(100, 3));
        open.add(made);
        made.start();
        assertTrue(made.blockUntilConnected(10, TimeUnit.SECONDS));
        return made;
    }

    private <T extends AutoCloseable> T opened(T one) {
        open.add(one);
        return one;
    }

    private void alone(Runnable inside, int workers, ThrowingSupplier enter) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(workers);
        List<Future<Object>> all = new ArrayList<>();
        for (int i = 0; i < workers; i++) {
            all.add(pool.submit(() -> {
                AutoCloseable held = enter.get();
                inside.run();
                held.close();
                return null;
            }));
        }
        for (Future<Object> one : all) {
            one.get(30, TimeUnit.SECONDS);
        }
        pool.shutdown();
    }

    private interface ThrowingSupplier {
        AutoCloseable get() throws Exception;
    }

    @Test
    void mutexLetsOneIn() throws Exception {
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger entries = new AtomicInteger();
        alone(() -> {
            assertEquals(1, inside.incrementAndGet());
            entries.incrementAndGet();
            inside.decrementAndGet();
        }, 4, () -> {
            InterProcessMutex mutex = new InterProcessMutex(another(), root + "/lock");
            assertTrue(mutex.acquire(20, TimeUnit.SECONDS));
            return mutex::release;
        });
        assertEquals(4, entries.get());
    }

    @Test
    void mutexIsReentrant() throws Exception {
        InterProcessMutex mutex = new InterProcessMutex(client, root + "/lock");
        mutex.acquire();
        assertTrue(mutex.acquire(1, TimeUnit.SECONDS));
        assertFalse(new InterProcessMutex(another(), root + "/lock").acquire(200, TimeUnit.MILLISECONDS));
        mutex.release();
        mutex.release();
        assertTrue(new InterProcessMutex(another(), root + "/lock").acquire(5, TimeUnit.SECONDS));
    }

    @Test
    void readersShareAndWritersDoNot() throws Exception {
        InterProcessReadWriteLock one = new InterProcessReadWriteLock(client, root + "/rw");
        InterProcessReadWriteLock two = new InterProcessReadWriteLock(another(), root + "/rw");
        one.readLock().acquire();
        assertTrue(two.readLock().acquire(5, TimeUnit.SECONDS));
        two.readLock().release();
        assertFalse(two.writeLock().acquire(200, TimeUnit.MILLISECONDS));
        one.readLock().release();
        assertTrue(two.writeLock().acquire(5, TimeUnit.SECONDS));
        two.writeLock().release();
    }

    @Test
    void semaphoreCountsLeases() throws Exception {
        InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(client, root + "/semaphore", 2);
        assertEquals(2, semaphore.acquire(2).size());
        assertNull(new InterProcessSemaphoreV2(another(), root + "/semaphore", 2).acquire(200, TimeUnit.MILLISECONDS));
        assertEquals(2, semaphore.getParticipantNodes().size());
    }

    @Test
    void multiLockTakesAllOrNone() throws Exception {
        InterProcessMutex held = new InterProcessMutex(another(), root + "/b");
        held.acquire();
        InterProcessMultiLock both = new InterProcessMultiLock(client, List.of(root + "/a", root + "/b"));
        assertFalse(both.acquire(300, TimeUnit.MILLISECONDS));
        held.release();
        assertTrue(both.acquire(5, TimeUnit.SECONDS));
        both.release();
    }

    @Test
    void latchPassesOnWhenTheLeaderGoes() throws Exception {
        CuratorFramework first = another();
        LeaderLatch one = new LeaderLatch(first, root + "/latch", "one");
        one.start();
        assertTrue(one.await(10, TimeUnit.SECONDS));
        LeaderLatch two = opened(new LeaderLatch(client, root + "/latch", "two"));
        two.start();
        assertFalse(two.await(200, TimeUnit.MILLISECONDS));
        first.close();
        assertTrue(two.await(10, TimeUnit.SECONDS));
        assertEquals("two", two.getLeader().getId());
    }

    @Test
    void selectorGivesEachATurn() throws Exception {
        CountDownLatch turns = new CountDownLatch(3);
        AtomicInteger leaders = new AtomicInteger();
        for (int i = 0; i < 3; i++) {
            LeaderSelector selector = opened(new LeaderSelector(another(), root + "/selector", new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework leader) {
                    assertEquals(1, leaders.incrementAndGet());
                    leaders.decrementAndGet();
                    turns.countDown();
                }
            }));
            selector.start();
        }
        assertTrue(turns.await(20, TimeUnit.SECONDS));
    }

    @Test
    void cacheSeesEveryChangeBelow() throws Exception {
        BlockingQueue<String> seen = new LinkedBlockingQueue<>();
        client.create().creatingParentsIfNeeded().forPath(root + "/cache/before", "0".getBytes());
        CuratorCache cache = opened(CuratorCache.build(client, root + "/cache"));
        CountDownLatch ready = new CountDownLatch(1);
        cache.listenable().addListener(CuratorCacheListener.builder().forInitialized(ready::countDown).build());
        cache.listenable().addListener(CuratorCacheListener.builder().afterInitialized()
            .forAll((type, before, after) -> seen.add(type + " " + (after == null ? before : after).getPath())).build());
        cache.start();
        assertTrue(ready.await(10, TimeUnit.SECONDS));
        CuratorFramework writer = another();
        writer.create().forPath(root + "/cache/x", "1".getBytes());
        assertEquals("NODE_CREATED " + root + "/cache/x", seen.poll(10, TimeUnit.SECONDS));
        writer.setData().forPath(root + "/cache/x", "2".getBytes());
        assertEquals("NODE_CHANGED " + root + "/cache/x", seen.poll(10, TimeUnit.SECONDS));
        writer.create().creatingParentsIfNeeded().forPath(root + "/cache/x/deep", "3".getBytes());
        assertEquals("NODE_CREATED " + root + "/cache/x/deep", seen.poll(10, TimeUnit.SECONDS));
        writer.delete().deletingChildrenIfNeeded().forPath(root + "/cache/x");
        assertEquals("NODE_DELETED " + root + "/cache/x/deep", seen.poll(10, TimeUnit.SECONDS));
        assertEquals("NODE_DELETED " + root + "/cache/x", seen.poll(10, TimeUnit.SECONDS));
        assertArrayEquals("0".getBytes(), cache.get(root + "/cache/before").orElseThrow().getData());
    }

    @Test
    void persistentWatcherStays() throws Exception {
        BlockingQueue<WatchedEvent> seen = new LinkedBlockingQueue<>();
        client.create().forPath(root);
        PersistentWatcher watcher = opened(new PersistentWatcher(client, root, true));
        watcher.getListenable().addListener(seen::add);
        CountDownLatch set = new CountDownLatch(1);
        watcher.getResetListenable().addListener(set::countDown);
        watcher.start();
        assertTrue(set.await(10, TimeUnit.SECONDS));
        for (int i = 0; i < 3; i++) {
            client.create().forPath(root + "/" + i);
            assertEquals(root + "/" + i, seen.poll(10, TimeUnit.SECONDS).getPath());
        }
    }

    @Test
    void watchesAreAddedAndRemoved() throws Exception {
        BlockingQueue<WatchedEvent> seen = new LinkedBlockingQueue<>();
        client.create().forPath(root);
        client.watchers().add().withMode(AddWatchMode.PERSISTENT).usingWatcher((org.apache.zookeeper.Watcher) seen::add).forPath(root);
        client.setData().forPath(root, "1".getBytes());
        assertEquals("NodeDataChanged", seen.poll(10, TimeUnit.SECONDS).getType().name());
        client.watchers().removeAll().forPath(root);
        assertEquals("PersistentWatchRemoved", seen.poll(10, TimeUnit.SECONDS).getType().name());
        assertThrows(KeeperException.NoWatcherException.class, () -> client.watchers().removeAll().forPath(root));
    }

    @Test
    void transactionIsAllOrNothing() throws Exception {
        client.create().forPath(root);
        List<CuratorTransactionResult> done = client.transaction().forOperations(
            client.transactionOp().create().forPath(root + "/a", "1".getBytes()),
            client.transactionOp().setData().withVersion(0).forPath(root + "/a", "2".getBytes()),
            client.transactionOp().check().withVersion(1).forPath(root + "/a"));
        assertEquals(List.of(0, 0, 0), done.stream().map(CuratorTransactionResult::getError).toList());
        assertThrows(KeeperException.NodeExistsException.class, () -> client.transaction().forOperations(
            client.transactionOp().create().forPath(root + "/b"), client.transactionOp().create().forPath(root + "/a")));
        assertNull(client.checkExists().forPath(root + "/b"));
    }

    @Test
    void everyKindOfNodeIsMade() throws Exception {
        client.create().creatingParentContainersIfNeeded().forPath(root + "/parent/child");
        assertEquals(0, client.checkExists().forPath(root).getEphemeralOwner(), "how a node is a container is not shown");
        client.create().withTtl(60000).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath(root + "/ttl");
        assertEquals(0, client.checkExists().forPath(root + "/ttl").getEphemeralOwner(), "nor its time to live");
        String path = client.create().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(root + "/e-");
        long session = client.getZookeeperClient().getZooKeeper().getSessionId();
        assertEquals(session, client.checkExists().forPath(path).getEphemeralOwner());
        String hidden = client.create().withProtection().withMode(CreateMode.EPHEMERAL).forPath(root + "/p");
        assertTrue(hidden.contains("_c_"));
        Stat stat = new Stat();
        client.create().compressed().storingStatIn(stat).forPath(root + "/z", new byte[2000]);
        assertTrue(stat.getDataLength() < 200);
        assertArrayEquals(new byte[2000], client.getData().decompressed().forPath(root + "/z"));
    }

    @Test
    void persistentNodeComesBack() throws Exception {
        PersistentNode node = opened(new PersistentNode(client, CreateMode.EPHEMERAL, false, root + "/node", "1".getBytes()));
        node.start();
        assertTrue(node.waitForInitialCreate(10, TimeUnit.SECONDS));
        BlockingQueue<WatchedEvent> seen = new LinkedBlockingQueue<>();
        CuratorFramework other = another();
        other.watchers().add().withMode(AddWatchMode.PERSISTENT).usingWatcher((org.apache.zookeeper.Watcher) seen::add).forPath(root + "/node");
        other.delete().forPath(root + "/node");
        assertEquals("NodeDeleted", seen.poll(10, TimeUnit.SECONDS).getType().name());
        assertEquals("NodeCreated", seen.poll(10, TimeUnit.SECONDS).getType().name());
    }

    @Test
    void ttlNodeIsKept() throws Exception {
        PersistentTtlNode node = opened(new PersistentTtlNode(client, root + "/ttl", 5000, "1".getBytes()));
        node.start();
        assertTrue(node.waitForInitialCreate(10, TimeUnit.SECONDS));
        assertNotNull(client.checkExists().forPath(root + "/ttl"));
    }

    @Test
    void groupKnowsItsMembers() throws Exception {
        GroupMember one = opened(new GroupMember(client, root + "/group", "one", "1".getBytes()));
        GroupMember two = opened(new GroupMember(another(), root + "/group", "two", "2".getBytes()));
        CountDownLatch both = new CountDownLatch(2);
        CuratorCache cache = opened(CuratorCache.build(client, root + "/group"));
        cache.listenable().addListener(CuratorCacheListener.builder().forCreates(n -> {
            if (!n.getPath().equals(root + "/group")) {
                both.countDown();
            }
        }).build());
        cache.start();
        one.start();
        two.start();
        assertTrue(both.await(10, TimeUnit.SECONDS));
    }

    @Test
    void atomicLongLosesNoStep() throws Exception {
        client.create().forPath(root);
        alone(() -> {}, 4, () -> {
            DistributedAtomicLong number = new DistributedAtomicLong(another(), root + "/n", new ExponentialBackoffRetry(10, 20));
            for (int i = 0; i < 5; i++) {
                assertTrue(number.increment().succeeded());
            }
            return () -> {};
        });
        assertEquals(20, new DistributedAtomicLong(client, root + "/n", new ExponentialBackoffRetry(10, 3)).get().postValue());
    }

    @Test
    void sharedCountIsShared() throws Exception {
        SharedCount one = opened(new SharedCount(client, root + "/count", 0));
        SharedCount two = opened(new SharedCount(another(), root + "/count", 0));
        BlockingQueue<Integer> seen = new LinkedBlockingQueue<>();
        two.addListener(new org.apache.curator.framework.recipes.shared.SharedCountListener() {
            @Override
            public void countHasChanged(org.apache.curator.framework.recipes.shared.SharedCountReader reader, int count) {
                seen.add(count);
            }

            @Override
            public void stateChanged(CuratorFramework c, org.apache.curator.framework.state.ConnectionState state) {}
        });
        one.start();
        two.start();
        one.setCount(7);
        assertEquals(7, seen.poll(10, TimeUnit.SECONDS));
    }

    @Test
    void barrierHoldsUntilItIsRemoved() throws Exception {
        DistributedBarrier barrier = new DistributedBarrier(client, root + "/barrier");
        barrier.setBarrier();
        DistributedBarrier waits = new DistributedBarrier(another(), root + "/barrier");
        assertFalse(waits.waitOnBarrier(200, TimeUnit.MILLISECONDS));
        barrier.removeBarrier();
        assertTrue(waits.waitOnBarrier(5, TimeUnit.SECONDS));
    }

    @Test
    void doubleBarrierGathersAll() throws Exception {
        alone(() -> {}, 3, () -> {
            DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(another(), root + "/double", 3);
            assertTrue(barrier.enter(20, TimeUnit.SECONDS));
            return () -> assertTrue(barrier.leave(20, TimeUnit.SECONDS));
        });
    }

    @Test
    void servicesAreFound() throws Exception {
        ServiceInstance<Void> service = ServiceInstance.<Void>builder().name("shop").port(1234).address("127.0.0.1").build();
        ServiceDiscovery<Void> offers = opened(ServiceDiscoveryBuilder.builder(Void.class).client(client).basePath(root).thisInstance(service).build());
        offers.start();
        ServiceDiscovery<Void> seeks = opened(ServiceDiscoveryBuilder.builder(Void.class).client(another()).basePath(root).build());
        seeks.start();
        assertEquals(1234, seeks.queryForInstances("shop").iterator().next().getPort());
    }

    @Test
    void asyncCallsComplete() throws Exception {
        AsyncCuratorFramework async = AsyncCuratorFramework.wrap(client);
        String done = async.create().forPath(root, "1".getBytes()).thenCompose(path -> async.getData().forPath(path))
            .thenApply(String::new).toCompletableFuture().get(10, TimeUnit.SECONDS);
        assertEquals("1", done);
    }

    @Test
    void ensembleTrackerReadsTheConfiguration() throws Exception {
        assertNotNull(client.getConfig().forEnsemble());
        assertNotNull(client.getCurrentConfig());
    }
}
