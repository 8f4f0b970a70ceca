/* Files of the PC behind an emulator or debugger, by Arm semihosting. */
#include "port.h"

enum { SYS_OPEN = 1, SYS_CLOSE = 2, SYS_WRITE = 5, SYS_READ = 6 };

static uint32_t call(uint32_t number, const void *arguments)
{
    register uint32_t r0 __asm__("r0") = number;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

int port_open(const char *name, int writing)
{
    uint32_t length = 0;
    while (name[length]) {
        length++;
    }
    uint32_t arguments[3] = {(uint32_t)name, writing ? 5u : 1u, length};
    return (int)call(SYS_OPEN, arguments);
}

uint32_t port_read(int file, void *data, uint32_t bytes)
{
    uint32_t arguments[3] = {(uint32_t)file, (uint32_t)data, bytes};
    return bytes - call(SYS_READ, arguments);
}

void port_write(int file, const void *data, uint32_t bytes)
{
    uint32_t arguments[3] = {(uint32_t)file, (uint32_t)data, bytes};
    call(SYS_WRITE, arguments);
}

void port_close(int file)
{
    uint32_t arguments[1] = {(uint32_t)file};
    call(SYS_CLOSE, arguments);
}
