/* A stand-in for v4l2loopback where no kernel module can be loaded. Loaded with LD_PRELOAD, it answers for
 * /dev/videoN, in the programs it is loaded into, the calls that v4l2loopback with exclusive_caps=1 answers:
 *
 *   a producer (pyvirtualcam) opens, asks VIDIOC_QUERYCAP, sets VIDIOC_S_FMT and write()s pictures;
 *   consumers (OpenCV, Chromium, ffmpeg) map buffers and dequeue them, or read().
 *
 * Pictures go through a ring of SLOTS in the file $VCAM_DIR/videoN, which camera_rig.py makes; a device exists where
 * its file does. Each consumer's descriptor is a fifo $VCAM_DIR/videoN.PID.SERIAL that gets a byte for each picture,
 * so select, poll and epoll work on it unchanged. A slow consumer misses pictures, as with the module. OUTPUT is
 * announced while no producer is there, CAPTURE while one is.
 *
 * Not answered: dup() of a camera's descriptor, fstat() (v4l2-ctl asks), USERPTR and DMABUF, controls, mmap output.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 4
#define MAX_PICTURE (1920 * 1080 * 4)
#define MAX_BUFFERS 8
#define MAX_OPEN 32

struct slot { uint64_t seq, time_ns; uint32_t bytes, pad; };
struct ring {                           /* the head of $VCAM_DIR/videoN; pictures follow */
    uint64_t seq;                       /* number of the newest picture; the first is 1 */
    int32_t producer;                   /* process id, 0: none */
    uint32_t width, height, fourcc, bytes;
    struct slot slot[SLOTS];
};
#define RING_BYTES (4096 + (size_t)SLOTS * MAX_PICTURE)

struct handle {                         /* one open descriptor of a camera */
    int used, fd, number, producing, memory, streaming;
    struct ring *ring;
    uint64_t taken;                     /* the last picture this consumer got */
    unsigned buffers, length, head, tail, queue[MAX_BUFFERS + 1];
    uint8_t *map, queued[MAX_BUFFERS];
    char fifo[256];
};
static struct handle handles[MAX_OPEN];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int serial;

/* the real calls, straight to the kernel: no dlsym inside an allocator's mmap */
#define sys_open(path, flags, mode) ((int)syscall(SYS_openat, AT_FDCWD, path, flags, mode))
static int sys_close(int fd) { return syscall(SYS_close, fd); }
#define sys_read(fd, p, n) ((ssize_t)syscall(SYS_read, fd, p, n))
#define sys_write(fd, p, n) ((ssize_t)syscall(SYS_write, fd, p, n))
#define sys_mmap(at, n, prot, flags, fd, off) ((void *)syscall(SYS_mmap, at, n, prot, flags, fd, off))

static const char *folder(void) { const char *d = getenv("VCAM_DIR"); return d ? d : "/tmp/voxcam-vcam"; }
static uint8_t *picture(struct ring *r, uint64_t seq) { return (uint8_t *)r + 4096 + (seq % SLOTS) * (size_t)MAX_PICTURE; }
static int has_producer(struct ring *r) { return r->producer && (kill(r->producer, 0) == 0 || errno == EPERM); }

static struct handle *find(int fd) {
    for (int i = 0; fd >= 0 && i < MAX_OPEN; i++)
        if (handles[i].used && handles[i].fd == fd) return &handles[i];
    return NULL;
}

/* -2: not one of ours; else what open() is to return */
static int open_camera(const char *path, int flags) {
    char file[200], fresh[256]; int number, end = 0;
    if (!path || sscanf(path, "/dev/video%d%n", &number, &end) != 1 || path[end]) return -2;
    snprintf(file, sizeof file, "%s/video%d", folder(), number);
    int ring_fd = sys_open(file, O_RDWR | O_CLOEXEC, 0);
    if (ring_fd < 0) return -2;
    struct ring *r = sys_mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
    sys_close(ring_fd);
    if (r == MAP_FAILED) return -1;
    pthread_mutex_lock(&lock);
    struct handle *h = NULL;
    for (int i = 0; i < MAX_OPEN && !h; i++) if (!handles[i].used) h = &handles[i];
    if (!h) { pthread_mutex_unlock(&lock); munmap(r, RING_BYTES); errno = EMFILE; return -1; }
    memset(h, 0, sizeof *h);
    h->memory = -1; h->ring = r; h->number = number; h->taken = __atomic_load_n(&r->seq, __ATOMIC_ACQUIRE);
    if ((flags & O_ACCMODE) == O_WRONLY) {
        h->fd = sys_open("/dev/null", O_WRONLY | (flags & O_CLOEXEC), 0);
    } else {
        snprintf(h->fifo, sizeof h->fifo, "%s.%d.%d", file, getpid(), ++serial);
        snprintf(fresh, sizeof fresh, "%s/.%d.%d", folder(), getpid(), serial);     /* renamed once it has a reader: see wake() */
        h->fd = mkfifo(fresh, 0666) == 0 ? sys_open(fresh, O_RDWR | (flags & (O_CLOEXEC | O_NONBLOCK)), 0) : -1;
        rename(fresh, h->fifo);
    }
    h->used = h->fd >= 0;
    if (!h->used) munmap(r, RING_BYTES);
    int fd = h->fd;
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE(last) va_list a; va_start(a, last); mode_t mode = last & (O_CREAT | __O_TMPFILE) ? va_arg(a, mode_t) : 0; va_end(a)
#define OPEN(name) int name(const char *path, int flags, ...) { \
    MODE(flags); int fd = open_camera(path, flags); return fd != -2 ? fd : sys_open(path, flags, mode); }
#define OPENAT(name) int name(int at, const char *path, int flags, ...) { \
    MODE(flags); int fd = open_camera(path, flags); return fd != -2 ? fd : (int)syscall(SYS_openat, at, path, flags, mode); }
#define OPEN_2(name) int name(const char *path, int flags) { \
    int fd = open_camera(path, flags); return fd != -2 ? fd : sys_open(path, flags, 0); }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64) OPEN_2(__open_2) OPEN_2(__open64_2)

int close(int fd) {
    pthread_mutex_lock(&lock);
    struct handle *h = find(fd);
    if (h) {
        if (h->producing && h->ring->producer == getpid()) h->ring->producer = 0;
        if (h->memory >= 0) sys_close(h->memory);
        if (h->map) munmap(h->map, (size_t)h->buffers * h->length);
        if (h->fifo[0]) unlink(h->fifo);
        munmap(h->ring, RING_BYTES);
        h->used = 0;
    }
    pthread_mutex_unlock(&lock);
    return sys_close(fd);
}
int __close(int) __attribute__((alias("close")));     /* Chromium has a close() of its own that calls this */

/* one byte into every consumer's fifo; the fifo of a dead one (nobody reads it) is removed */
static void wake(struct handle *h) {
    char prefix[32], path[600]; struct dirent *e;
    DIR *d = opendir(folder());
    if (!d) return;
    int n = snprintf(prefix, sizeof prefix, "video%d.", h->number);
    while ((e = readdir(d))) {
        if (strncmp(e->d_name, prefix, n)) continue;
        snprintf(path, sizeof path, "%s/%s", folder(), e->d_name);
        int fd = sys_open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);
        if (fd < 0) { if (errno == ENXIO) unlink(path); continue; }
        if (sys_write(fd, "", 1) < 0) { /* full: the consumer sleeps, it misses pictures */ }
        sys_close(fd);
    }
    closedir(d);
}

ssize_t write(int fd, const void *data, size_t n) {
    struct handle *h = find(fd);
    if (!h) return sys_write(fd, data, n);
    struct ring *r = h->ring; struct timespec t;
    if (!h->producing) { errno = EBUSY; return -1; }
    if (n > MAX_PICTURE) n = MAX_PICTURE;
    uint64_t seq = r->seq + 1;
    struct slot *s = &r->slot[seq % SLOTS];
    __atomic_store_n(&s->seq, 0, __ATOMIC_SEQ_CST);     /* being written */
    clock_gettime(CLOCK_MONOTONIC, &t);
    memcpy(picture(r, seq), data, n);
    s->time_ns = t.tv_sec * 1000000000ull + t.tv_nsec; s->bytes = n;
    __atomic_store_n(&s->seq, seq, __ATOMIC_SEQ_CST);
    __atomic_store_n(&r->seq, seq, __ATOMIC_SEQ_CST);
    wake(h);
    return n;
}

/* The next picture for a consumer into `to`; 0 or -1 with errno (EAGAIN where none is there). */
static int take(struct handle *h, uint8_t *to, size_t room, struct slot *got) {
    struct ring *r = h->ring; char token;
    for (;;) {
        ssize_t k = sys_read(h->fd, &token, 1);        /* waits here unless O_NONBLOCK */
        if (k < 0) return -1;
        uint64_t newest = __atomic_load_n(&r->seq, __ATOMIC_SEQ_CST), next = h->taken + 1;
        if (newest + 1 <= next) continue;               /* a byte for a picture that was skipped */
        if (next + SLOTS - 2 < newest) next = newest - (SLOTS - 2);
        struct slot s = r->slot[next % SLOTS];
        if (s.bytes > room) s.bytes = room;
        memcpy(to, picture(r, next), s.bytes);
        h->taken = next;
        if (s.seq != next || __atomic_load_n(&r->slot[next % SLOTS].seq, __ATOMIC_SEQ_CST) != next) continue;  /* overwritten */
        *got = s;
        return 0;
    }
}

ssize_t read(int fd, void *data, size_t n) {
    struct handle *h = find(fd); struct slot s;
    if (!h) return sys_read(fd, data, n);
    return take(h, data, n, &s) < 0 ? -1 : (ssize_t)s.bytes;
}

void *mmap64(void *at, size_t n, int prot, int flags, int fd, off64_t off) {
    struct handle *h = find(fd);
    return sys_mmap(at, n, prot, flags, h && h->memory >= 0 ? h->memory : fd, off);
}
void *mmap(void *, size_t, int, int, int, off_t) __attribute__((alias("mmap64")));

static int picture_bytes(uint32_t fourcc, uint32_t w, uint32_t h, uint32_t *line) {
    uint32_t cw = (w + 1) / 2, ch = (h + 1) / 2;
    switch (fourcc) {
    case V4L2_PIX_FMT_YUV420: case V4L2_PIX_FMT_YVU420: *line = w; return w * h + 2 * cw * ch;
    case V4L2_PIX_FMT_NV12: *line = w; return w * h + 2 * cw * ch;
    case V4L2_PIX_FMT_GREY: *line = w; return w * h;
    case V4L2_PIX_FMT_YUYV: case V4L2_PIX_FMT_UYVY: *line = 4 * cw; return 4 * cw * h;
    case V4L2_PIX_FMT_RGB24: case V4L2_PIX_FMT_BGR24: *line = 3 * w; return 3 * w * h;
    default: *line = 4 * w; return 4 * w * h;
    }
}

static void describe(struct ring *r, struct v4l2_pix_format *p) {
    memset(p, 0, sizeof *p);
    p->width = r->width; p->height = r->height; p->pixelformat = r->fourcc; p->field = V4L2_FIELD_NONE;
    p->sizeimage = picture_bytes(r->fourcc, r->width, r->height, &p->bytesperline);
    p->colorspace = V4L2_COLORSPACE_SRGB;
}

static int fail(int e) { errno = e; return -1; }

static int camera_ioctl(struct handle *h, unsigned long request, void *arg) {
    struct ring *r = h->ring;
    int writer = (fcntl(h->fd, F_GETFL) & O_ACCMODE) == O_WRONLY;
    switch ((uint32_t)request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *c = arg; memset(c, 0, sizeof *c);
        strcpy((char *)c->driver, "v4l2 loopback");
        snprintf((char *)c->card, sizeof c->card, "voxcam test camera %d", h->number);
        snprintf((char *)c->bus_info, sizeof c->bus_info, "platform:v4l2loopback-%03d", h->number);
        c->device_caps = V4L2_CAP_STREAMING | V4L2_CAP_READWRITE |
            (!h->producing && has_producer(r) ? V4L2_CAP_VIDEO_CAPTURE : V4L2_CAP_VIDEO_OUTPUT);
        c->capabilities = c->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0; }
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *f = arg;
        if (f->index || f->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || !r->fourcc) return fail(EINVAL);
        f->flags = 0; f->pixelformat = r->fourcc;
        snprintf((char *)f->description, sizeof f->description, "%.4s", (char *)&r->fourcc);
        return 0; }
    case VIDIOC_ENUM_FRAMESIZES: {
        struct v4l2_frmsizeenum *f = arg;
        if (f->index || f->pixel_format != r->fourcc) return fail(EINVAL);
        f->type = V4L2_FRMSIZE_TYPE_DISCRETE; f->discrete.width = r->width; f->discrete.height = r->height;
        return 0; }
    case VIDIOC_ENUM_FRAMEINTERVALS: {
        struct v4l2_frmivalenum *f = arg;
        if (f->index || f->pixel_format != r->fourcc) return fail(EINVAL);
        f->type = V4L2_FRMIVAL_TYPE_DISCRETE; f->discrete.numerator = 1; f->discrete.denominator = 30;
        return 0; }
    case VIDIOC_G_FMT: case VIDIOC_S_FMT: case VIDIOC_TRY_FMT: {
        struct v4l2_format *f = arg;
        if (f->type == V4L2_BUF_TYPE_VIDEO_OUTPUT && (uint32_t)request == VIDIOC_S_FMT) {
            uint32_t line;
            if (!writer && h->streaming) return fail(EBUSY);
            if (!h->producing && has_producer(r)) return fail(EBUSY);
            if (picture_bytes(f->fmt.pix.pixelformat, f->fmt.pix.width, f->fmt.pix.height, &line) > MAX_PICTURE) return fail(EINVAL);
            r->width = f->fmt.pix.width; r->height = f->fmt.pix.height; r->fourcc = f->fmt.pix.pixelformat;
            r->producer = getpid(); h->producing = 1;
        } else if (f->type != V4L2_BUF_TYPE_VIDEO_OUTPUT && f->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return fail(EINVAL);
        if (!r->fourcc) return fail(EINVAL);
        describe(r, &f->fmt.pix);       /* a consumer gets the producer's format, whatever it asked */
        return 0; }
    case VIDIOC_G_PARM: case VIDIOC_S_PARM: {
        struct v4l2_streamparm *p = arg; uint32_t type = p->type;
        memset(p, 0, sizeof *p); p->type = type;
        p->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
        p->parm.capture.timeperframe.numerator = 1; p->parm.capture.timeperframe.denominator = 30;
        p->parm.capture.readbuffers = 2;
        return 0; }
    case VIDIOC_ENUMINPUT: {
        struct v4l2_input *i = arg;
        if (i->index) return fail(EINVAL);
        memset(i, 0, sizeof *i); strcpy((char *)i->name, "loopback"); i->type = V4L2_INPUT_TYPE_CAMERA;
        return 0; }
    case VIDIOC_G_INPUT: *(int *)arg = 0; return 0;
    case VIDIOC_S_INPUT: return *(int *)arg ? fail(EINVAL) : 0;
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *q = arg;
        if (q->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || q->memory != V4L2_MEMORY_MMAP) return fail(EINVAL);
        if (h->map) { munmap(h->map, (size_t)h->buffers * h->length); h->map = NULL; }
        if (h->memory >= 0) { sys_close(h->memory); h->memory = -1; }
        if (q->count > MAX_BUFFERS) q->count = MAX_BUFFERS;
        h->buffers = q->count; h->head = h->tail = 0; memset(h->queued, 0, sizeof h->queued);
        q->capabilities = V4L2_BUF_CAP_SUPPORTS_MMAP;
        if (!q->count) return 0;
        struct v4l2_pix_format p; describe(r, &p);
        h->length = (p.sizeimage + 4095) & ~4095u;
        h->memory = memfd_create("vcam", MFD_CLOEXEC);
        if (h->memory < 0 || ftruncate(h->memory, (off_t)h->buffers * h->length)) return fail(ENOMEM);
        void *m = sys_mmap(NULL, (size_t)h->buffers * h->length, PROT_READ | PROT_WRITE, MAP_SHARED, h->memory, 0);
        if (m == MAP_FAILED) return fail(ENOMEM);
        h->map = m;
        return 0; }
    case VIDIOC_QUERYBUF: case VIDIOC_QBUF: {
        struct v4l2_buffer *b = arg;
        if (b->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || b->index >= h->buffers) return fail(EINVAL);
        b->length = h->length; b->m.offset = b->index * h->length;
        b->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
        if ((uint32_t)request == VIDIOC_QBUF && !h->queued[b->index]) {
            h->queue[h->tail++ % (MAX_BUFFERS + 1)] = b->index; h->queued[b->index] = 1;
        }
        if (h->queued[b->index]) b->flags |= V4L2_BUF_FLAG_QUEUED;
        return 0; }
    case VIDIOC_DQBUF: {
        struct v4l2_buffer *b = arg; struct slot s;
        if (b->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || !h->streaming || h->head == h->tail) return fail(EINVAL);
        unsigned i = h->queue[h->head % (MAX_BUFFERS + 1)];
        if (take(h, h->map + (size_t)i * h->length, h->length, &s) < 0) return -1;
        h->head++; h->queued[i] = 0;
        b->index = i; b->bytesused = s.bytes; b->length = h->length; b->m.offset = i * h->length;
        b->field = V4L2_FIELD_NONE; b->sequence = s.seq; b->memory = V4L2_MEMORY_MMAP;
        b->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
        b->timestamp.tv_sec = s.time_ns / 1000000000; b->timestamp.tv_usec = s.time_ns % 1000000000 / 1000;
        return 0; }
    case VIDIOC_STREAMON: h->streaming = 1; return 0;
    case VIDIOC_STREAMOFF: h->streaming = 0; h->head = h->tail = 0; memset(h->queued, 0, sizeof h->queued); return 0;
    case VIDIOC_QUERYCTRL: case VIDIOC_G_CTRL: case VIDIOC_S_CTRL: return fail(EINVAL);
    default: return fail(ENOTTY);
    }
}

int ioctl(int fd, unsigned long request, ...) {
    va_list a; va_start(a, request); void *arg = va_arg(a, void *); va_end(a);
    struct handle *h = find(fd);
    return h ? camera_ioctl(h, request, arg) : (int)syscall(SYS_ioctl, fd, request, arg);
}
