/* slow_sync MILLIS PROGRAM ARGS..: runs PROGRAM, whose every fsync, fdatasync, msync and sync_file_range begins MILLIS
 * late, as on a disk that is about to fail.
 *
 * The kernel holds such a call back and tells a supervisor (seccomp user notification), which lets it go on when its
 * time has come. That works for every program, whichever way it makes system calls; a library put in front of libc's
 * would miss programs in Go. This process becomes PROGRAM, so its process id is that of PROGRAM; the supervisor is its
 * child and ends with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Calls held back at the same time; a program syncs from a handful of threads. */
#define HELD_MAX 1024

struct held {
    uint64_t id;
    int64_t due_ms;
};

static void die(const char *what) {
    perror(what);
    exit(70);
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Asks the kernel to hold back the calls; returns where it tells of them. */
static int hold_syncs(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsync, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fdatasync, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_msync, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sync_file_range, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        die("no_new_privs");
    int fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (fd < 0)
        die("seccomp");
    return fd;
}

static void send_fd(int socket, int fd) {
    char byte = 0, room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(int));
    if (sendmsg(socket, &message, 0) != 1)
        die("send the listener");
}

static int receive_fd(int socket) {
    char byte, room[CMSG_SPACE(sizeof(int))];
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    if (recvmsg(socket, &message, 0) != 1 || CMSG_FIRSTHDR(&message) == NULL)
        exit(70); /* the other side has said why */
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    return fd;
}

static void let_go(int listener, uint64_t id) {
    struct seccomp_notif_resp answer = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) != 0 && errno != ENOENT)
        die("let a call go on"); /* ENOENT: its thread was killed meanwhile */
}

/* Lets each held call go on when it is due. All wait equally long, so the oldest is always the next. */
static void supervise(int listener, int64_t delay_ms) {
    static struct held held[HELD_MAX];
    size_t first = 0, count = 0;
    for (;;) {
        int64_t wait = -1;
        if (count > 0) {
            wait = held[first].due_ms - now_ms();
            if (wait <= 0) {
                let_go(listener, held[first].id);
                first = (first + 1) % HELD_MAX;
                count--;
                continue;
            }
        }
        struct pollfd listen = {.fd = listener, .events = POLLIN};
        if (poll(&listen, 1, (int)wait) < 0 && errno != EINTR)
            die("poll");
        if (listen.revents & POLLIN) {
            struct seccomp_notif notice = {0};
            if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notice) != 0)
                continue; /* its thread was killed meanwhile */
            if (count == HELD_MAX) {
                let_go(listener, notice.id);
                continue;
            }
            held[(first + count++) % HELD_MAX] = (struct held){notice.id, now_ms() + delay_ms};
        } else if (listen.revents & (POLLHUP | POLLERR)) {
            exit(0); /* the program has ended */
        }
    }
}

int main(int argc, char **argv) {
    int pair[2];
    if (argc < 3) {
        fprintf(stderr, "usage: slow_sync MILLIS PROGRAM ARGS..\n");
        return 64;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        die("socketpair");
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        close(pair[0]);
        int listener = receive_fd(pair[1]);
        /* Whoever waits for the program's output must not wait for this process. */
        close(0);
        close(1);
        close(2);
        supervise(listener, strtoll(argv[1], NULL, 10));
    }
    close(pair[1]);
    int listener = hold_syncs();
    send_fd(pair[0], listener);
    close(listener);
    execvp(argv[2], argv + 2);
    die(argv[2]);
}
