/* Everything of an export, for C and C++. */
#ifndef AURICLE_H
#define AURICLE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if __has_include("auricle_knowledge.h")
#include "auricle_detector.h"
#include "auricle_knowledge.h"
int auricle_golden_test(void);
#endif
#if __has_include("auricle_forecaster.h")
#include "auricle_forecaster.h"
#include "auricle_liquid.h"
int auricle_forecaster_test(void);
#endif

#ifdef __cplusplus
}
#endif

#endif
