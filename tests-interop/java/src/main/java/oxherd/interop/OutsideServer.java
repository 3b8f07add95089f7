package oxherd.interop;

import java.io.File;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.server.ServerCnxn;
import org.apache.zookeeper.server.ServerCnxnFactory;
import org.apache.zookeeper.server.ZooKeeperServer;

/**
 * Stands where ZooKeeper's own tests start a server inside their process, and runs $ZK_START as a process instead.
 *
 * <p>The tests make their server through a class name in a system property; this is that class. The server object
 * that they hand over is never started: its folder, tick time and session limits become a zoo.cfg. System properties
 * that a test sets for "its" server go along in SERVER_JVMFLAGS.
 */
public final class OutsideServer extends ServerCnxnFactory {
    private InetSocketAddress address;
    private int connectionsPerHostMax;
    private Process process;

    @Override
    public void configure(InetSocketAddress addr, int maxcc, int backlog, boolean secure) {
        address = addr;
        connectionsPerHostMax = maxcc;
    }

    @Override
    public void startup(ZooKeeperServer zks, boolean startServer) throws IOException {
        setZooKeeperServer(zks);
        process = launch(zks);
    }

    private Process launch(ZooKeeperServer zks) throws IOException {
        File data = zks.getTxnLogFactory().getDataLogDir().getParentFile();
        File config = new File(data.getParentFile(), data.getName() + ".cfg");
        List<String> lines = new ArrayList<>(List.of(
            "dataDir=" + data.getAbsolutePath(), "clientPort=" + address.getPort(), "tickTime=" + zks.getTickTime(),
            "maxClientCnxns=" + connectionsPerHostMax, "admin.enableServer=false", "4lw.commands.whitelist=*"));
        lines.add("minSessionTimeout=" + zks.getMinSessionTimeout());
        lines.add("maxSessionTimeout=" + zks.getMaxSessionTimeout());
        Files.write(config.toPath(), lines, StandardCharsets.UTF_8);
        ProcessBuilder builder = new ProcessBuilder("bash", "-c", "exec " + System.getenv("ZK_START") + " \"$0\"", config.getPath());
        StringBuilder flags = new StringBuilder();
        for (String name : System.getProperties().stringPropertyNames()) {
            boolean servers = name.startsWith("zookeeper.") && !name.equals(ZOOKEEPER_SERVER_CNXN_FACTORY) && !name.startsWith("zookeeper.admin.");
            if (servers || name.equals("jute.maxbuffer")) {
                flags.append(" -D").append(name).append('=').append(System.getProperty(name));
            }
        }
        builder.environment().put("SERVER_JVMFLAGS", flags.toString());
        File log = new File(System.getenv().getOrDefault("OUT", "."), "server.log");
        builder.redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.appendTo(log));
        Process started = builder.start();
        Runtime.getRuntime().addShutdownHook(new Thread(started::destroyForcibly));
        return started;
    }

    @Override
    public void shutdown() {
        if (process != null) {
            process.destroy();
            try {
                if (!process.waitFor(20, TimeUnit.SECONDS)) {
                    process.destroyForcibly().waitFor();
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            process = null;
        }
    }

    @Override
    public int getLocalPort() {
        return address.getPort();
    }

    @Override
    public InetSocketAddress getLocalAddress() {
        return address;
    }

    @Override
    public Iterable<ServerCnxn> getConnections() {
        return Collections.emptyList();
    }

    @Override
    public int getMaxClientCnxnsPerHost() {
        return connectionsPerHostMax;
    }

    @Override
    public void setMaxClientCnxnsPerHost(int max) {
        connectionsPerHostMax = max;
    }

    @Override
    public int getSocketListenBacklog() {
        return -1;
    }

    @Override
    public void reconfigure(InetSocketAddress addr) {
        address = addr;
    }

    @Override
    public void join() {}

    @Override
    public void start() {}

    @Override
    public void closeAll(ServerCnxn.DisconnectReason reason) {}

    @Override
    public void resetAllConnectionStats() {}

    @Override
    public Iterable<Map<String, Object>> getAllConnectionInfo(boolean brief) {
        return Collections.emptyList();
    }
}
