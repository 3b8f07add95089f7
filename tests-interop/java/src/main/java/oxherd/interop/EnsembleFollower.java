package oxherd.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryNTimes;

/**
 * Curator with its tracker of the ensemble, told a part of it: writes all the while, and answers each line it reads with
 * {@code servers=... session=... writes=...}: the servers it would connect to next.
 */
public class EnsembleFollower {
    private static final String PATH = "/curator-follows";

    public static void main(String[] arguments) throws Exception {
        CuratorFramework client =
                CuratorFrameworkFactory.newClient(arguments[0], 15_000, 5000, new RetryNTimes(400, 50));
        client.start();
        client.create().orSetData().forPath(PATH);
        AtomicInteger writes = new AtomicInteger();
        Thread writer = new Thread(() -> write(client, writes));
        writer.setDaemon(true);
        writer.start();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        while (input.readLine() != null) {
            String servers = client.getZookeeperClient().getCurrentConnectionString();
            long session = client.getZookeeperClient().getZooKeeper().getSessionId();
            System.out.printf("servers=%s session=%x writes=%d%n", servers, session, writes.get());
        }
        System.exit(0);
    }

    private static void write(CuratorFramework client, AtomicInteger writes) {
        while (true) {
            try {
                client.setData().forPath(PATH, "x".getBytes());
                writes.incrementAndGet();
                Thread.sleep(10);
            } catch (Exception error) {
                // Retried by the framework already; a line on stderr goes to the case's log.
                System.err.println(error);
            }
        }
    }
}
