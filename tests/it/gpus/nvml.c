/*
 * A library with the entry points of NVML that perfgate calls, whose devices are what a text file says at every call.
 *
 * The file is named by NVML_STUB_STATE. Lines: `driver 550.54`, `gpu` (begins a device), and below it `KEY VALUE`:
 *   memory_total memory_used (bytes)  utilization (percent)  clock_sm clock_memory (MHz)  power power_limit (mW)
 *   temperature (degrees)  throttle (bits)  ecc (count)  persistence ecc_mode mig (0 or 1)  pcie_gen pcie_width
 *   process PID BYTES (any number)  lost 1  xid CODE (once)  hang SECONDS
 * A key that is not there is NVML_ERROR_NOT_SUPPORTED. Types and codes are those of nvml.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int nvmlReturn_t;
#define SUCCESS 0
#define INVALID_ARGUMENT 2
#define NOT_SUPPORTED 3
#define INSUFFICIENT_SIZE 7
#define TIMEOUT 10
#define GPU_IS_LOST 15

typedef struct { int index; } Device;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } Process;
typedef struct { Device *device; unsigned long long type, data; unsigned gpu_instance, compute_instance; } Event;
typedef struct { int index; int reported; } EventSet;

static Device devices[16];

static FILE *state(void) {
    const char *path = getenv("NVML_STUB_STATE");
    return path ? fopen(path, "r") : NULL;
}

/* The lines of one device: calls `found` for each until it returns 0. */
static int count_gpus(void) {
    FILE *file = state();
    char line[256];
    int count = 0;
    while (file && fgets(line, sizeof line, file))
        count += strncmp(line, "gpu", 3) == 0;
    if (file) fclose(file);
    return count;
}

static nvmlReturn_t value(Device *device, const char *key, unsigned long long *out) {
    FILE *file = state();
    char line[256], name[64];
    unsigned long long number, hang = 0;
    int at = -1, found = NOT_SUPPORTED, lost = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "gpu", 3) == 0) { at++; continue; }
        if (at != device->index || sscanf(line, "%63s %llu", name, &number) != 2) continue;
        if (strcmp(name, "lost") == 0) lost = 1;
        if (strcmp(name, "hang") == 0) hang = number;
        if (strcmp(name, key) == 0) { *out = number; found = SUCCESS; }
    }
    if (file) fclose(file);
    if (hang) sleep(hang);
    return lost ? GPU_IS_LOST : found;
}

static nvmlReturn_t number(Device *device, const char *key, unsigned *out) {
    unsigned long long wide = 0;
    nvmlReturn_t code = value(device, key, &wide);
    if (code == SUCCESS) *out = (unsigned)wide;
    return code;
}

static nvmlReturn_t text(char *out, unsigned size, const char *said) {
    if (strlen(said) + 1 > size) return INSUFFICIENT_SIZE;
    strcpy(out, said);
    return SUCCESS;
}

nvmlReturn_t nvmlInit_v2(void) { return SUCCESS; }
nvmlReturn_t nvmlShutdown(void) { return SUCCESS; }
nvmlReturn_t nvmlSystemGetDriverVersion(char *out, unsigned size) { return text(out, size, "550.54.15"); }
nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *out) { *out = 12040; return SUCCESS; }
nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *out) { *out = 12040; return SUCCESS; }

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *out) { *out = (unsigned)count_gpus(); return SUCCESS; }
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **out) {
    if (index >= 16 || (int)index >= count_gpus()) return INVALID_ARGUMENT;
    devices[index].index = (int)index;
    *out = &devices[index];
    return SUCCESS;
}
nvmlReturn_t nvmlDeviceGetIndex(Device *device, unsigned *out) { *out = (unsigned)device->index; return SUCCESS; }
nvmlReturn_t nvmlDeviceGetUUID(Device *device, char *out, unsigned size) {
    char uuid[64];
    snprintf(uuid, sizeof uuid, "GPU-00000000-0000-0000-0000-%012d", device->index);
    return text(out, size, uuid);
}
nvmlReturn_t nvmlDeviceGetName(Device *device, char *out, unsigned size) { (void)device; return text(out, size, "NVIDIA Stub 80GB"); }
nvmlReturn_t nvmlDeviceGetVbiosVersion(Device *device, char *out, unsigned size) { (void)device; return text(out, size, "96.00.74.00.01"); }
nvmlReturn_t nvmlDeviceGetCudaComputeCapability(Device *device, int *major, int *minor) { (void)device; *major = 9; *minor = 0; return SUCCESS; }

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(Device *device, Memory *out) {
    nvmlReturn_t code = value(device, "memory_total", &out->total);
    if (code == SUCCESS) code = value(device, "memory_used", &out->used);
    out->reserved = 0;
    out->free = out->total - out->used;
    return code;
}
nvmlReturn_t nvmlDeviceGetUtilizationRates(Device *device, Utilization *out) {
    out->memory = 0;
    return number(device, "utilization", &out->gpu);
}
nvmlReturn_t nvmlDeviceGetClockInfo(Device *device, int kind, unsigned *out) {
    return number(device, kind == 1 ? "clock_sm" : kind == 2 ? "clock_memory" : "none", out);
}
nvmlReturn_t nvmlDeviceGetMaxClockInfo(Device *device, int kind, unsigned *out) {
    (void)device;
    *out = kind == 1 ? 1980 : 2619;
    return SUCCESS;
}
nvmlReturn_t nvmlDeviceGetPowerUsage(Device *device, unsigned *out) { return number(device, "power", out); }
nvmlReturn_t nvmlDeviceGetPowerManagementLimit(Device *device, unsigned *out) { return number(device, "power_limit", out); }
nvmlReturn_t nvmlDeviceGetPowerManagementDefaultLimit(Device *device, unsigned *out) { return number(device, "power_limit", out); }
nvmlReturn_t nvmlDeviceGetTemperature(Device *device, int sensor, unsigned *out) { (void)sensor; return number(device, "temperature", out); }
nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(Device *device, unsigned long long *out) { return value(device, "throttle", out); }
nvmlReturn_t nvmlDeviceGetTotalEccErrors(Device *device, int kind, int counter, unsigned long long *out) {
    (void)kind; (void)counter;
    return value(device, "ecc", out);
}
nvmlReturn_t nvmlDeviceGetEccMode(Device *device, unsigned *current, unsigned *pending) {
    *pending = 0;
    return number(device, "ecc_mode", current);
}
nvmlReturn_t nvmlDeviceGetMigMode(Device *device, unsigned *current, unsigned *pending) {
    *pending = 0;
    return number(device, "mig", current);
}
nvmlReturn_t nvmlDeviceGetPersistenceMode(Device *device, unsigned *out) { return number(device, "persistence", out); }
nvmlReturn_t nvmlDeviceGetCurrPcieLinkGeneration(Device *device, unsigned *out) { return number(device, "pcie_gen", out); }
nvmlReturn_t nvmlDeviceGetCurrPcieLinkWidth(Device *device, unsigned *out) { return number(device, "pcie_width", out); }
nvmlReturn_t nvmlDeviceGetMaxPcieLinkGeneration(Device *device, unsigned *out) { (void)device; *out = 5; return SUCCESS; }
nvmlReturn_t nvmlDeviceGetMaxPcieLinkWidth(Device *device, unsigned *out) { (void)device; *out = 16; return SUCCESS; }

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(Device *device, unsigned *count, Process *out) {
    FILE *file = state();
    char line[256];
    unsigned seen = 0, pid;
    unsigned long long used;
    int at = -1, lost = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "gpu", 3) == 0) { at++; continue; }
        if (at != device->index) continue;
        if (strncmp(line, "lost", 4) == 0) lost = 1;
        if (sscanf(line, "process %u %llu", &pid, &used) != 2) continue;
        if (out && seen < *count) out[seen] = (Process){pid, used, 0xFFFFFFFF, 0xFFFFFFFF};
        seen++;
    }
    if (file) fclose(file);
    if (lost) return GPU_IS_LOST;
    unsigned room = *count;
    *count = seen;
    return seen > room ? INSUFFICIENT_SIZE : SUCCESS;
}

nvmlReturn_t nvmlEventSetCreate(EventSet **out) { *out = calloc(1, sizeof **out); return SUCCESS; }
nvmlReturn_t nvmlEventSetFree(EventSet *set) { free(set); return SUCCESS; }
nvmlReturn_t nvmlDeviceRegisterEvents(Device *device, unsigned long long types, EventSet *set) {
    (void)types;
    set->index = device->index;
    return SUCCESS;
}
nvmlReturn_t nvmlEventSetWait_v2(EventSet *set, Event *out, unsigned milliseconds) {
    unsigned long long code;
    (void)milliseconds;
    if (set->reported || value(&devices[set->index], "xid", &code) != SUCCESS) return TIMEOUT;
    set->reported = 1;
    *out = (Event){&devices[set->index], 8, code, 0xFFFFFFFF, 0xFFFFFFFF};
    return SUCCESS;
}
