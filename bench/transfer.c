/* transfer HOST PORT HEAD BODY TIMES STREAMS
 * Sends the bytes of file HEAD, then those of file BODY ("-": none), reads the answer to its end and throws it away unseen;
 * TIMES times on each of STREAMS connections. The status must be 200, the length as announced. Prints bytes moved and seconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in where = {.sin_family = AF_INET};
static char head[65536];
static long head_size, body_size, times;
static int body = -1;
static long long moved;

static void fail(const char *what) { perror(what); exit(1); }

static int dial(void) {
    int sock = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(sock, (void *)&where, sizeof where)) fail("connect");
    return sock;
}

static void ask(int sock) {
    if (send(sock, head, head_size, body_size ? MSG_MORE : 0) != head_size) fail("send");
    for (off_t sent = 0; sent < body_size;)
        if (sendfile(sock, body, &sent, body_size - sent) <= 0) fail("sendfile");
}

static long long answer(int sock, char *buffer) {
    long got = 0, read;
    char *end = NULL, *length;
    while (!end) {
        if ((read = recv(sock, buffer + got, 65535 - got, 0)) <= 0) { fprintf(stderr, "no whole head\n"); exit(2); }
        got += read;
        buffer[got] = 0;
        end = strstr(buffer, "\r\n\r\n");
    }
    if (atoi(buffer + 9) != 200) { fprintf(stderr, "%.*s\n", (int)got, buffer); exit(3); }
    length = strcasestr(buffer, "\ncontent-length:");
    if (!length || length > end) { fprintf(stderr, "no length\n"); exit(4); }
    long long wanted = atoll(length + 16), had = got - (end + 4 - buffer);
    while (had < wanted) {
        if ((read = recv(sock, NULL, 1 << 20, MSG_TRUNC)) <= 0) { fprintf(stderr, "cut at %lld of %lld\n", had, wanted); exit(5); }
        had += read;
    }
    if (had != wanted) { fprintf(stderr, "%lld is not %lld\n", had, wanted); exit(6); }
    return had;
}

static void *stream(void *unused) {
    char *buffer = malloc(65536);
    int sock = dial();
    for (long i = 0; i < times; i++) {
        ask(sock);
        __sync_fetch_and_add(&moved, answer(sock, buffer) + body_size);
    }
    close(sock);
    return unused;
}

int main(int count, char **given) {
    if (count != 7) return 64;
    inet_pton(AF_INET, given[1], &where.sin_addr);
    where.sin_port = htons(atoi(given[2]));
    int file = open(given[3], O_RDONLY);
    if ((head_size = read(file, head, sizeof head)) <= 0) fail(given[3]);
    if (strcmp(given[4], "-")) {
        struct stat facts;
        if ((body = open(given[4], O_RDONLY)) < 0 || fstat(body, &facts)) fail(given[4]);
        body_size = facts.st_size;
    }
    times = atol(given[5]);
    int streams = atoi(given[6]);
    pthread_t running[256];
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < streams; i++) pthread_create(running + i, NULL, stream, NULL);
    for (int i = 0; i < streams; i++) pthread_join(running[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%lld %.6f\n", moved, to.tv_sec - from.tv_sec + (to.tv_nsec - from.tv_nsec) / 1e9);
}
