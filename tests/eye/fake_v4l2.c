// SPDX-License-Identifier: Apache-2.0
// A V4L2 camera in user space: loaded before libc (LD_PRELOAD), it answers for the file named by FAKE_V4L2 as a USB
// camera's driver would, so that OpenCV's own V4L2 code and Nigiwai's questions run for real without a camera.
//
// FAKE_V4L2        the device file it plays
// FAKE_V4L2_MODE   well | busy (another program streams) | silent (never a picture) | meta (a node without pictures)
// FAKE_V4L2_LEFT   after so many pictures the cable is pulled
// FAKE_V4L2_JPEG   a JPEG file; with it the camera also knows MJPG
//
// Pictures are grey, their brightness 16 + 10 for each taken, and stamped with the monotonic clock.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

enum { BUFFERS = 8, ROOM = 8 << 20, FILES = 1024 };
static char ours[FILES]; // which open files are the camera
static int streaming = -1, queued[BUFFERS], head, waiting, taken;
static struct v4l2_pix_format format = {.width = 640, .height = 480, .pixelformat = V4L2_PIX_FMT_YUYV};
static unsigned char *memory;

static const char *setting(const char *name) { return getenv(name) ? getenv(name) : ""; }
static int in_mode(const char *mode) { return strcmp(setting("FAKE_V4L2_MODE"), mode) == 0; }
static int gone(void) { return *setting("FAKE_V4L2_LEFT") && taken >= atoi(setting("FAKE_V4L2_LEFT")); }
static int fail(int number) { errno = number; return -1; }
static int is_ours(int file) { return file >= 0 && file < FILES && ours[file]; }
static int taken_by_another(int file) { return in_mode("busy") || (streaming >= 0 && streaming != file); }

static int open_fake(void) {
    if (gone()) return fail(ENOENT);
    int file = memfd_create("video", 0);
    if (file < 0 || file >= FILES || ftruncate(file, (off_t)BUFFERS * ROOM)) return fail(EMFILE);
    ours[file] = 1;
    return file;
}

static int open_any(const char *name, const char *path, int flags, mode_t mode) {
    if (*setting("FAKE_V4L2") && strcmp(path, setting("FAKE_V4L2")) == 0) return open_fake();
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, name);
    return real(path, flags, mode);
}

static mode_t mode_of(va_list args, int flags) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0; }

int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(args, flags);
    va_end(args);
    return open_any("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(args, flags);
    va_end(args);
    return open_any("open64", path, flags, mode);
}

int close(int fd) {
    if (is_ours(fd)) ours[fd] = 0;
    if (fd == streaming) streaming = -1;
    int (*real)(int) = dlsym(RTLD_NEXT, "close");
    return real(fd);
}

int select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *t) {
    if (streaming >= 0 && r && streaming < n && FD_ISSET(streaming, r)) return 0; // nothing came in time
    int (*real)(int, fd_set *, fd_set *, fd_set *, struct timeval *) = dlsym(RTLD_NEXT, "select");
    return real(n, r, w, e, t);
}

static void describe(struct v4l2_capability *about) {
    memset(about, 0, sizeof *about);
    strcpy((char *)about->driver, "fake");
    strcpy((char *)about->card, "Camera of the tests");
    about->device_caps = V4L2_CAP_STREAMING | (in_mode("meta") ? V4L2_CAP_META_CAPTURE : V4L2_CAP_VIDEO_CAPTURE);
    about->capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_META_CAPTURE | V4L2_CAP_STREAMING | V4L2_CAP_DEVICE_CAPS;
}

static int set_format(int file, struct v4l2_format *wanted) {
    if (taken_by_another(file)) return fail(EBUSY);
    struct v4l2_pix_format *pix = &wanted->fmt.pix;
    int jpeg = pix->pixelformat == V4L2_PIX_FMT_MJPEG && *setting("FAKE_V4L2_JPEG");
    pix->pixelformat = jpeg ? V4L2_PIX_FMT_MJPEG : V4L2_PIX_FMT_YUYV;
    pix->field = V4L2_FIELD_NONE;
    pix->bytesperline = jpeg ? 0 : pix->width * 2;
    pix->sizeimage = pix->width * pix->height * 2;
    format = *pix;
    return 0;
}

static int paint(unsigned char *into) {
    if (format.pixelformat == V4L2_PIX_FMT_MJPEG) {
        FILE *file = fopen(setting("FAKE_V4L2_JPEG"), "rb");
        int size = (int)fread(into, 1, ROOM, file);
        fclose(file);
        return size;
    }
    int size = (int)format.sizeimage;
    for (int i = 0; i < size; i += 2) into[i] = (unsigned char)(16 + 10 * taken), into[i + 1] = 128;
    return size;
}

static int give(struct v4l2_buffer *buffer) {
    if (in_mode("silent") || !waiting) return fail(EAGAIN);
    struct timespec now;
    buffer->index = queued[head];
    head = (head + 1) % BUFFERS, waiting--;
    buffer->bytesused = paint(memory + (size_t)buffer->index * ROOM);
    buffer->length = format.sizeimage;
    clock_gettime(CLOCK_MONOTONIC, &now);
    buffer->timestamp = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    buffer->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    taken++;
    return 0;
}

static int start(int file) {
    streaming = file;
    memory = mmap(NULL, (size_t)BUFFERS * ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    return memory == MAP_FAILED ? -1 : 0;
}

static int answer(int file, unsigned long request, void *argument) {
    struct v4l2_buffer *buffer = argument;
    if (gone()) return fail(ENODEV);
    switch (request) {
    case VIDIOC_QUERYCAP: describe(argument); return 0;
    case VIDIOC_G_INPUT: *(int *)argument = 0; return 0;
    case VIDIOC_S_INPUT: return 0;
    case VIDIOC_ENUMINPUT: return ((struct v4l2_input *)argument)->index ? fail(EINVAL) : 0;
    case VIDIOC_G_FMT: ((struct v4l2_format *)argument)->fmt.pix = format; return 0;
    case VIDIOC_TRY_FMT:
    case VIDIOC_S_FMT: return set_format(file, argument);
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: return 0;
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *asked = argument;
        if (taken_by_another(file)) return fail(EBUSY);
        asked->count = asked->count > BUFFERS ? BUFFERS : asked->count;
        head = waiting = 0;
        return 0;
    }
    case VIDIOC_QUERYBUF: buffer->length = format.sizeimage, buffer->m.offset = buffer->index * ROOM; return 0;
    case VIDIOC_QBUF: queued[(head + waiting++) % BUFFERS] = (int)buffer->index; return 0;
    case VIDIOC_DQBUF: return give(buffer);
    case VIDIOC_STREAMON: return start(file);
    case VIDIOC_STREAMOFF: head = waiting = 0, streaming = -1; return 0;
    default: return fail(ENOTTY);
    }
}

int ioctl(int fd, unsigned long request, ...) {
    va_list args;
    va_start(args, request);
    void *argument = va_arg(args, void *);
    va_end(args);
    if (is_ours(fd)) return answer(fd, request & 0xffffffff, argument);
    int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    return real(fd, request, argument);
}
