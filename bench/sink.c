/* sink PORT: a store that takes every upload, looks at none of its bytes, and says 200 once it has as many as were announced.
 * Prints the length and FNV-1a hash of each body when a second argument is given; the bytes are looked at then. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char said[] = "HTTP/1.1 200 OK\r\nETag: \"d41d8cd98f00b204e9800998ecf8427e\"\r\nContent-Length: 0\r\n\r\n";
static int hashing;

static int exchange(int sock, char *buffer) {
    long got = 0, read;
    char *end = NULL, *length;
    while (!end) {
        if ((read = recv(sock, buffer + got, 65535 - got, 0)) <= 0) return 0;
        got += read;
        buffer[got] = 0;
        end = strstr(buffer, "\r\n\r\n");
    }
    length = strcasestr(buffer, "\ncontent-length:");
    long long left = length && length < end ? atoll(length + 16) : 0, all = left;
    char *data = end + 4;
    uint64_t hash = 14695981039346656037u;
    for (long had = got - (data - buffer);; had = read, data = buffer) {
        for (long i = 0; hashing && i < had; i++) hash = (hash ^ (unsigned char)data[i]) * 1099511628211u;
        left -= had;
        if (left <= 0) break;
        if ((read = recv(sock, hashing ? buffer : NULL, hashing ? 65535 : 1 << 20, hashing ? 0 : MSG_TRUNC)) <= 0) return 0;
    }
    if (hashing) printf("%lld %016lx\n", all, hash), fflush(stdout);
    return left == 0 && send(sock, said, sizeof said - 1, MSG_NOSIGNAL) == sizeof said - 1;
}

static void *serve(void *given) {
    int sock = (intptr_t)given;
    char *buffer = malloc(65536);
    while (exchange(sock, buffer)) continue;
    free(buffer);
    close(sock);
    return NULL;
}

int main(int count, char **given) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(atoi(given[1]))};
    inet_pton(AF_INET, "127.0.0.1", &where.sin_addr);
    hashing = count > 2;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (void *)&where, sizeof where) || listen(listener, 1024)) return perror("listen"), 1;
    for (;;) {
        int sock = accept(listener, NULL, NULL);
        pthread_t thread;
        if (sock < 0) continue;
        setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pthread_create(&thread, NULL, serve, (void *)(intptr_t)sock);
        pthread_detach(thread);
    }
}
