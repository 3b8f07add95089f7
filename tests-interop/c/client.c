/* Checks a server with the C client, libzookeeper_mt.
 * ZK_HOSTPORT names the server, RESULTS a file for lines PASS|FAIL, tab, name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <pthread.h>
#include <zookeeper/zookeeper.h>

#define WANT(condition)                                                          \
    do {                                                                         \
        if (!(condition)) {                                                      \
            fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #condition);      \
            return 0;                                                            \
        }                                                                        \
    } while (0)

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct { int type; char path[64]; } events[64];
static int event_count;

static void on_event(zhandle_t *zh, int type, int state, const char *path, void *context) {
    pthread_mutex_lock(&guard);
    if (context != NULL && type != ZOO_SESSION_EVENT && event_count < 64) {
        events[event_count].type = type;
        snprintf(events[event_count].path, sizeof events[event_count].path, "%s", path);
        event_count++;
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&guard);
}

static int wait_for_events(int count) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    pthread_mutex_lock(&guard);
    while (event_count < count && pthread_cond_timedwait(&changed, &guard, &until) == 0) {
    }
    int got = event_count;
    pthread_mutex_unlock(&guard);
    return got == count;
}

static zhandle_t *connect_to_server(void) {
    zhandle_t *zh = zookeeper_init(getenv("ZK_HOSTPORT"), on_event, 10000, NULL, NULL, 0);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&guard);
    while (zh != NULL && zoo_state(zh) != ZOO_CONNECTED_STATE && pthread_cond_timedwait(&changed, &guard, &until) == 0) {
    }
    pthread_mutex_unlock(&guard);
    return zh != NULL && zoo_state(zh) == ZOO_CONNECTED_STATE ? zh : NULL;
}

static int create_get_set(zhandle_t *zh) {
    char data[16], path[64];
    int length = sizeof data;
    struct Stat stat;
    WANT(zoo_create(zh, "/c/a", "one", 3, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path) == ZOK);
    WANT(zoo_get(zh, "/c/a", 0, data, &length, &stat) == ZOK);
    WANT(length == 3 && memcmp(data, "one", 3) == 0 && stat.version == 0);
    WANT(zoo_set2(zh, "/c/a", "two", 3, 0, &stat) == ZOK && stat.version == 1);
    WANT(zoo_set(zh, "/c/a", "x", 1, 0) == ZBADVERSION);
    WANT(zoo_create(zh, "/c/a", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZNODEEXISTS);
    WANT(zoo_exists(zh, "/c/none", 0, &stat) == ZNONODE);
    return 1;
}

static int null_data(zhandle_t *zh) {
    char data[4];
    int length = sizeof data;
    WANT(zoo_create(zh, "/c/null", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZOK);
    WANT(zoo_get(zh, "/c/null", 0, data, &length, NULL) == ZOK && length == -1);
    return 1;
}

static int sequences_and_children(zhandle_t *zh) {
    char one[64], two[64];
    struct String_vector names;
    WANT(zoo_create(zh, "/c/kids", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZOK);
    WANT(zoo_create(zh, "/c/kids/s-", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, one, sizeof one) == ZOK);
    WANT(zoo_create(zh, "/c/kids/s-", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, two, sizeof two) == ZOK);
    WANT(strcmp(one, "/c/kids/s-0000000000") == 0 && strcmp(two, "/c/kids/s-0000000001") == 0);
    WANT(zoo_get_children(zh, "/c/kids", 0, &names) == ZOK && names.count == 2);
    deallocate_String_vector(&names);
    WANT(zoo_delete(zh, "/c/kids", -1) == ZNOTEMPTY);
    return 1;
}

static int watches(zhandle_t *zh) {
    char data[4];
    int length = sizeof data;
    struct Stat stat;
    struct String_vector names;
    event_count = 0;
    WANT(zoo_wget(zh, "/c/a", on_event, "watch", data, &length, &stat) == ZOK);
    WANT(zoo_wget_children(zh, "/c/a", on_event, "watch", &names) == ZOK);
    deallocate_String_vector(&names);
    WANT(zoo_wexists(zh, "/c/a/late", on_event, "watch", &stat) == ZNONODE);
    WANT(zoo_create(zh, "/c/a/late", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZOK);
    WANT(zoo_set(zh, "/c/a", "w", 1, -1) == ZOK);
    WANT(wait_for_events(3));
    WANT(events[0].type == ZOO_CREATED_EVENT && strcmp(events[0].path, "/c/a/late") == 0);
    WANT(events[1].type == ZOO_CHILD_EVENT && strcmp(events[1].path, "/c/a") == 0);
    WANT(events[2].type == ZOO_CHANGED_EVENT && strcmp(events[2].path, "/c/a") == 0);
    return 1;
}

static int multi(zhandle_t *zh) {
    zoo_op_t ops[3];
    zoo_op_result_t results[3];
    struct Stat stat;
    char path[64];
    zoo_create_op_init(&ops[0], "/c/m", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path);
    zoo_set_op_init(&ops[1], "/c/m", "m", 1, 0, &stat);
    zoo_check_op_init(&ops[2], "/c/m", 1);
    WANT(zoo_multi(zh, 3, ops, results) == ZOK && strcmp(path, "/c/m") == 0 && stat.version == 1);
    zoo_create_op_init(&ops[0], "/c/m2", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path);
    zoo_delete_op_init(&ops[1], "/c/none", -1);
    WANT(zoo_multi(zh, 2, ops, results) == ZNONODE && results[1].err == ZNONODE);
    WANT(zoo_exists(zh, "/c/m2", 0, &stat) == ZNONODE);
    return 1;
}

static int acls(zhandle_t *zh) {
    zhandle_t *other = connect_to_server();
    struct ACL_vector list;
    struct Stat stat;
    char data[4];
    int length = sizeof data;
    WANT(other != NULL && zoo_add_auth(other, "digest", "c:secret", 8, NULL, NULL) == ZOK);
    WANT(zoo_create(other, "/c/acl", "x", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0) == ZOK);
    WANT(zoo_get(zh, "/c/acl", 0, data, &length, &stat) == ZNOAUTH);
    WANT(zoo_get_acl(other, "/c/acl", &list, &stat) == ZOK);
    WANT(list.count == 1 && strcmp(list.data[0].id.scheme, "digest") == 0);
    deallocate_ACL_vector(&list);
    WANT(zookeeper_close(other) == ZOK);
    return 1;
}

static int ephemerals(zhandle_t *zh) {
    zhandle_t *other = connect_to_server();
    struct Stat stat;
    event_count = 0;
    WANT(other != NULL && zoo_create(other, "/c/e", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0) == ZOK);
    WANT(zoo_create(zh, "/c/e/x", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZNOCHILDRENFOREPHEMERALS);
    WANT(zoo_wexists(zh, "/c/e", on_event, "watch", &stat) == ZOK);
    WANT(stat.ephemeralOwner == zoo_client_id(other)->client_id);
    WANT(zookeeper_close(other) == ZOK);
    WANT(wait_for_events(1) && events[0].type == ZOO_DELETED_EVENT);
    return 1;
}

int main(void) {
    struct { const char *name; int (*run)(zhandle_t *); } tests[] = {
        {"create_get_set", create_get_set}, {"null_data", null_data}, {"sequences_and_children", sequences_and_children},
        {"watches", watches}, {"multi", multi}, {"acls", acls}, {"ephemerals", ephemerals}};
    FILE *results = fopen(getenv("RESULTS"), "w");
    if (results == NULL) {
        return 1;
    }
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    zhandle_t *zh = connect_to_server();
    int ready = zh != NULL && zoo_create(zh, "/c", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZOK;
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        fprintf(results, "%s\t%s\n", ready && tests[i].run(zh) ? "PASS" : "FAIL", tests[i].name);
    }
    fclose(results);
    if (zh != NULL) {
        zookeeper_close(zh);
    }
    return 0;
}
