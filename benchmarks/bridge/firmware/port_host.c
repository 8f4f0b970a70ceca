/* Files of a PC. */
#include "port.h"

#include <stdio.h>

static FILE *files[8];

int port_open(const char *name, int writing)
{
    static int opened = 0;
    files[opened] = fopen(name, writing ? "wb" : "rb");
    return opened++;
}

uint32_t port_read(int file, void *data, uint32_t bytes)
{
    return files[file] ? (uint32_t)fread(data, 1, bytes, files[file]) : 0;
}

void port_write(int file, const void *data, uint32_t bytes)
{
    if (files[file]) {
        fwrite(data, 1, bytes, files[file]);
    }
}

void port_close(int file)
{
    if (files[file]) {
        fclose(files[file]);
    }
}
