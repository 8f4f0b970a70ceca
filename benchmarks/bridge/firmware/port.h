/* Files and time for the test programs: on a PC by the C library, on the board by semihosting. */
#ifndef AURICLE_PORT_H
#define AURICLE_PORT_H

#include <stdint.h>

int port_open(const char *name, int writing);
uint32_t port_read(int file, void *data, uint32_t bytes); /* bytes read */
void port_write(int file, const void *data, uint32_t bytes);
void port_close(int file);

#endif
