/* SPDX-License-Identifier: MIT */
/*
 * qemu_plugin - the parts of version 1 of QEMU's plugin interface that the plugin uses. Debian does
 * not package the header. The declarations follow the interface's documentation: "QEMU TCG Plugins"
 * in the developers' manual of QEMU 7.2, and the comments in its include/qemu/qemu-plugin.h.
 */
#ifndef COHERENCE_QEMU_PLUGIN_H
#define COHERENCE_QEMU_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QEMU_EXPORT __attribute__((visibility("default")))

enum qemu_registers { QEMU_NO_REGISTERS };
enum qemu_accesses { QEMU_LOADS_AND_STORES = 3 };

struct qemu_block;       /* instructions that QEMU translates and executes together */
struct qemu_instruction; /* valid during the callback only */
struct qemu_info;

typedef void qemu_translated_fn(uint64_t plugin, struct qemu_block *block);
typedef void qemu_executed_fn(unsigned int vcpu, void *data);
typedef void qemu_accessed_fn(unsigned int vcpu, uint32_t access, uint64_t address, void *data);
typedef void qemu_syscall_fn(uint64_t plugin, unsigned int vcpu, int64_t number, uint64_t a1,
			     uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6,
			     uint64_t a7, uint64_t a8);
typedef void qemu_syscall_return_fn(uint64_t plugin, unsigned int vcpu, int64_t number,
				    int64_t result);

/* The plugin exports these. */
extern QEMU_EXPORT int qemu_plugin_version;
QEMU_EXPORT int qemu_plugin_install(uint64_t plugin, const struct qemu_info *info, int argc,
				    char **argv);

/* QEMU exports these. */
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t plugin, qemu_translated_fn *fn);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_block *block, qemu_executed_fn *fn,
					  enum qemu_registers registers, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_instruction *instruction, qemu_accessed_fn *fn,
				      enum qemu_registers registers, enum qemu_accesses accesses,
				      void *data);
void qemu_plugin_register_vcpu_syscall_cb(uint64_t plugin, qemu_syscall_fn *fn);
void qemu_plugin_register_vcpu_syscall_ret_cb(uint64_t plugin, qemu_syscall_return_fn *fn);
size_t qemu_plugin_tb_n_insns(const struct qemu_block *block);
struct qemu_instruction *qemu_plugin_tb_get_insn(const struct qemu_block *block, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_instruction *instruction);
size_t qemu_plugin_insn_size(const struct qemu_instruction *instruction);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_instruction *instruction);
const char *qemu_plugin_insn_symbol(const struct qemu_instruction *instruction);
bool qemu_plugin_mem_is_store(uint32_t access);
unsigned int qemu_plugin_mem_size_shift(uint32_t access);

#endif
